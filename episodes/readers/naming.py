"""What readers share: words for images and masks, pairs, subjects from names, safe listings."""

import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from episodes.catalog import Catalog, Sample
from episodes.decode import is_readable, stem
from episodes.errors import DataError, shorten
from episodes.legend import legend_classes

IMAGE_WORDS = ("images", "image", "imgs", "img", "imagestr")
MASK_WORDS = (
    *("masks", "mask", "labels", "label", "labelstr", "annotations", "annotation"),
    *("instances", "segmentations", "segmentation", "seg", "gt", "groundtruth"),
)

_WORDS = re.compile(r"(?:(?<![a-z])|[_\-. ])(" + "|".join(IMAGE_WORDS + MASK_WORDS) + r")(?![a-z])")


def subfolder(root: Path, words: tuple[str, ...]) -> Path | None:
    """Find the sub-folder with one of these names, in the order of the words, in any case."""
    folders = {p.name.lower(): p for p in root.iterdir() if p.is_dir()}
    return next((folders[word] for word in words if word in folders), None)


def folders(root: Path) -> list[Path]:
    """List the visible sub-folders, sorted by name."""
    return sorted(p for p in root.iterdir() if p.is_dir() and not p.name.startswith("."))


def files(folder: Path) -> Iterator[Path]:
    """List the readable, visible files of a folder and its sub-folders, sorted by name."""
    for path in sorted(folder.rglob("*")):
        hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
        if is_readable(path) and path.is_file() and not hidden:
            yield path


def pictures(folder: Path) -> Iterator[Path]:
    """List the files of a folder and its sub-folders but for those called as masks are."""
    for path in files(folder):
        parents = path.relative_to(folder).parts[:-1]
        if not any(part.lower() in MASK_WORDS for part in parents):
            yield path


def by_stem(folder: Path) -> dict[str, Path]:
    """Map paths below the folder, without ending, to files; two of one name are an error."""
    found: dict[str, Path] = {}
    for path in files(folder):
        name = (path.relative_to(folder).parent / stem(path)).as_posix()
        if name in found:
            raise DataError(
                f"{path.parent} holds {found[name].name} and {path.name}; expected one file a name"
            )
        found[name] = path
    return found


def subject_of(name: str, pattern: str | None) -> str:
    r"""Take the subject out of an item's name; without a pattern the name is the subject.

    >>> subject_of("SC-HF-I-10-IM-0024", r"(SC-[A-Z]+-[A-Z]+-\d+)")
    'SC-HF-I-10'
    """
    if pattern is None:
        return name
    try:
        match = re.search(pattern, name)
    except re.error as error:
        raise DataError(f"subject pattern {pattern!r} is no regular expression: {error}") from error
    if match is None:
        raise DataError(
            f"subject pattern {pattern!r} does not match the name {name!r}; "
            "it has to match every image's name"
        )
    subject = match.group(1) if match.re.groups else match.group(0)
    if not subject:
        raise DataError(f"subject pattern {pattern!r} finds an empty subject in {name!r}")
    return subject


def partner_note(kind: str, names: list[str], lack: str) -> tuple[str, ...]:
    """Say which items lack their partner; nothing when none does."""
    return (f"{len(names)} {kind} without {lack}: {shorten(names, 4)}",) if names else ()


def pairs(root: Path, accepts: Callable[[Path], bool]) -> tuple[dict[str, Path], dict[str, Path]]:
    """Map names to images and to masks: two folders, or one where a word tells them apart.

    Args:
        root: holds an image folder and a mask folder, or the files themselves.
        accepts: which files are meant.

    Returns:
        The images and the masks; partners have the same name.

    Raises:
        DataError: two files have one name.
    """
    image_folder, mask_folder = subfolder(root, IMAGE_WORDS), subfolder(root, MASK_WORDS)
    images: dict[str, Path] = {}
    masks: dict[str, Path] = {}
    if image_folder and any(map(accepts, image_folder.iterdir())):
        for folder, found in ((image_folder, images), (mask_folder, masks)):
            for path in files(folder) if folder else ():
                # nnU-Net numbers the channels of an image: case_0000 belongs to the label case.
                name = re.sub(r"_0000$", "", stem(path)) if found is images else stem(path)
                _add(found, name, path)
        return images, masks
    for path in sorted(p for p in root.iterdir() if accepts(p) and not p.name.startswith(".")):
        words = _WORDS.findall(stem(path).lower())
        # image.nii and label.nii, called nothing else, are one pair.
        name = re.sub(r"^[_\-. ]+|[_\-. ]+$", "", _WORDS.sub("", stem(path).lower())) or "volume"
        _add(masks if any(word in MASK_WORDS for word in words) else images, name, path)
    return images, masks


def _add(found: dict[str, Path], name: str, path: Path) -> None:
    if name in found:
        raise DataError(
            f"{found[name].name} and {path.name} in {path.parent} are both called {name!r} once "
            "the words for image and mask are taken away; expected one of each"
        )
    found[name] = path


def catalog_of(root: Path, samples: Iterable[Sample], notes: tuple[str, ...] = ()) -> Catalog:
    """Make a catalog named after its folder, with the classes that the legends name.

    Raises:
        DataError: there is no sample.
    """
    samples = tuple(samples)
    if not samples:
        raise DataError(f"{root} holds no readable picture; expected files in its image folder")
    legends = (mask.legend for sample in samples for mask in sample.masks)
    classes = dict.fromkeys(name for legend in legends for name in legend_classes(legend))
    return Catalog(samples, tuple(classes), name=root.resolve().name, notes=notes)
