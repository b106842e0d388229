"""One format a file; each reader turns a path into a Catalog without loading pixels.

A reader is a module, or any object, with two functions:

    recognises(root: Path) -> bool
        Whether the folder has the reader's layout; checks names and opens almost no file.
    read(root: Path, *, subject_pattern: str | None = None,
         label_map: LabelMap | None = None) -> Catalog
        Makes the catalog. It raises DataError for what is damaged, and reads no pixels. It may take
        ignore_affine: bool = False as well (see `episodes.io.mask_grid`).

Where pixels lie in no plain picture or volume, the reader gives its references a function to read
them (`episodes.catalog.catalog.PixelRef.reader`), as `fss1000` does in a few lines.

A reader of your own needs no change here: pass it as `read_catalog(path, readers=[mine])`, decorate
a class of two static methods with `@register_reader("mine")` in a plugin (docs/plugins.md), or
install it with an entry point of the group `fewshot.readers`, after which the commands use it too:

    [project.entry-points."fewshot.readers"]
    mine = "my_package.my_reader"

Readers are tried in this order: those given, those registered, those installed (by name), those
that come with the package. `Catalog.layout` says which one recognised the data set.
"""

import inspect
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol, TypeVar, runtime_checkable

from episodes.catalog.catalog import Catalog
from episodes.errors import DataError
from episodes.io.unsupported import foreign
from episodes.masks.label_map import LabelMap
from episodes.readers import (
    arrays,
    beside,
    coco,
    dicom,
    folder,
    fss1000,
    instances,
    kitti_road,
    naming,
    nifti,
    omezarr,
    omniglot,
    pictures,
    tiff,
    voc,
)
from episodes.registry import Registry, installed_entry_points

Definition = TypeVar("Definition")


@runtime_checkable
class Reader(Protocol):
    """What reads one layout; a module with these two functions is one."""

    def recognises(self, root: Path) -> bool:
        """Whether the folder has this layout."""

    def read(
        self, root: Path, *, subject_pattern: str | None = None, label_map: LabelMap | None = None
    ) -> Catalog:
        """Make a catalog of the folder."""


READERS: tuple[Reader, ...] = (
    *(omniglot, voc, kitti_road, fss1000, coco, omezarr),
    *(arrays, instances, nifti, dicom, tiff, folder, beside, pictures),
)
"""From the most specific layouts to the most general."""

GROUP = "fewshot.readers"
REGISTERED: Registry[Reader] = Registry("reader", "register_reader", (), GROUP)
"""Readers of plugins, which are tried before those of the package."""


def register_reader(name: str) -> Callable[[Definition], Definition]:
    """Return a decorator that adds a reader; its name is the layout of catalogs.

    Raises:
        DataError: what is decorated lacks one of the two functions.
    """

    def add(reader: Definition) -> Definition:
        if not _is_reader(reader):
            raise DataError(
                f"the reader {name!r} lacks recognises or read; see the documentation of "
                "episodes.readers"
            )
        return REGISTERED.register(name)(reader)

    return add


def _is_reader(reader: object) -> bool:
    return callable(getattr(reader, "recognises", None)) and hasattr(reader, "read")


def read_catalog(
    path: Path | str,
    *,
    subject_pattern: str | None = None,
    label_map: LabelMap | None = None,
    ignore_affine: bool = False,
    readers: Iterable[Reader] = (),
) -> Catalog:
    """Read a data set with the first reader that recognises its layout.

    Args:
        path: the data set's folder, or one of Omniglot's archives.
        subject_pattern: regular expression whose first group (or whole match) in an item's name
            is the subject, e.g. `SC-[A-Z]+-[A-Z]*-?[0-9]+`; by default each file is a subject.
        label_map: what mask values mean; by default from classes.json, or found out from them.
        ignore_affine: match masks to their images voxel for voxel, whatever position the headers of
            NIfTI files give them (see `episodes.io.mask_grid`).
        readers: your own readers, tried before all others.

    Raises:
        DataError: the folder is missing, or no reader recognises it.
    """
    root = Path(path)
    archive = root.is_file() and omniglot.recognises(root)
    if not (root.is_dir() or archive):
        what = "is a file" if root.exists() else "does not exist"
        raise DataError(f"data set {root} {what}; expected a folder with images and masks")
    known = (omniglot,) if archive else (*readers, *_known())
    for reader in known:
        if reader.recognises(root):
            options = _options(reader, ignore_affine)
            catalog = reader.read(
                root, subject_pattern=subject_pattern, label_map=label_map, **options
            )
            return replace(catalog, layout=catalog.layout or name_of(reader))
    raise DataError(_nothing_there(root))


def layouts() -> str:
    """List what is read, one line a reader."""
    known = _known()
    return "\n".join(f"  {name_of(reader)}: {_first_line(reader)}" for reader in known)


def _known() -> tuple[Reader, ...]:
    return (*REGISTERED.registered().values(), *installed(), *READERS)


def _nothing_there(root: Path) -> str:
    """Describe a folder that no reader recognises, and what was expected."""
    endings = Counter(
        path.suffix.lower() or "no ending"
        for path in root.rglob("*")
        if path.is_file() and not naming.is_hidden(path)
    )
    listed = ", ".join(f"{count} {ending}" for ending, count in endings.most_common(4))
    what = f"{endings.total()} files ({listed}), and none is a picture" if endings else "no file"
    known = ((path, foreign(path)) for path in sorted(root.rglob("*")) if path.is_file())
    words = next((f" {path.name} is {words}." for path, words in known if words), "")
    return (
        f"{root} holds {what} that can be read; {pictures.EXPECTED}.{words} "
        "`fewshot inspect FOLDER --layouts` lists everything that is read"
    )


def _options(reader: Reader, ignore_affine: bool) -> dict[str, Any]:
    """Return the options that a reader takes beyond those of all.

    Raises:
        DataError: an option is set that the reader does not have.
    """
    if not ignore_affine:
        return {}
    if "ignore_affine" not in inspect.signature(reader.read).parameters:
        raise DataError(
            f"--ignore-affine is for masks that are NIfTI files; this data set is read as "
            f"{name_of(reader)}. Leave it out"
        )
    return {"ignore_affine": True}


def installed() -> tuple[Reader, ...]:
    """Return the readers that other packages installed, sorted by name.

    Raises:
        DataError: one of them cannot be imported, or is no reader.
    """
    found: list[Reader] = []
    for entry in sorted(installed_entry_points(GROUP), key=lambda entry: entry.name):
        try:
            reader = entry.load()
        except (ImportError, AttributeError) as error:
            raise DataError(
                f"the reader {entry.name!r} ({entry.value}) that a package installed cannot be "
                f"loaded: {error}; repair or remove that package"
            ) from error
        if not _is_reader(reader):
            raise DataError(
                f"the installed reader {entry.name!r} ({entry.value}) lacks recognises or read; "
                "see the documentation of episodes.readers"
            )
        found.append(reader)
    return tuple(found)


def name_of(reader: Reader) -> str:
    """Return a registered name, the last part of a module's, or that of an object's class."""
    for name, registered in REGISTERED.registered().items():
        if registered is reader:
            return name
    return getattr(reader, "__name__", type(reader).__name__).rpartition(".")[2]


def _first_line(reader: Reader) -> str:
    return (getattr(reader, "__doc__", None) or "").strip().partition("\n")[0]
