"""Pictures without masks: for matching, and for training without labels.

    s1/1.pgm  s2/1.pgm                   a sub-folder a subject (a person, a patient)
    scan_1.png  scan_2.png               each file a subject, unless --subject-pattern tells
    train/p1/1.png  test/p2/1.png        parts are no subjects; nor is a folder around all others

There are no classes. Pictures that cannot be opened are left out and named. Where some of the files
are called as masks, or look like the masks of others, the folder is refused: nothing is learned
from masks that were taken for pictures.
"""

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

from episodes.catalog.catalog import Catalog, Sample
from episodes.errors import DataError, shorten
from episodes.io.read import is_volume, stem
from episodes.masks.label_map import LabelMap
from episodes.readers import naming, pairing
from episodes.readers.file_finder import normalise_name

EXPECTED = (
    "expected images/ and masks/ with files of the same names, or a.png beside a_mask.png in one "
    "folder"
)
LOOKED_AT = 3
"""Number of pairs of pictures that are checked for one being the mask of the other."""


def recognises(root: Path) -> bool:
    """Whether any picture or volume is there."""
    return next(naming.list_files(root), None) is not None


def read(
    root: Path, *, subject_pattern: str | None = None, label_map: LabelMap | None = None
) -> Catalog:
    """List the pictures; each plane is a sample, without a class.

    Args:
        root: the folder.
        subject_pattern: searched in a picture's path, e.g. `s1/1`; by default the first sub-folder
            is the subject, or else the file.
        label_map: has to be None, as there is no mask.

    Raises:
        DataError: masks are among the pictures, none can be opened, or classes are named.
    """
    paths = list(naming.list_files(root))
    _refuse_masks(root, paths)
    if label_map is not None:
        raise DataError(
            f"{root} holds {len(paths)} pictures without masks, so --classes names nothing; "
            f"{EXPECTED}"
        )
    folders = [_folders(root, path) for path in paths]
    around = _shared(folders)
    samples: list[Sample] = []
    broken: list[str] = []
    for path, within in zip(paths, folders, strict=True):
        name = path.relative_to(root).with_name(stem(path)).as_posix()
        own = name if len(within) == around else within[around]
        subject = own if subject_pattern is None else naming.subject_of(name, subject_pattern)
        try:
            samples += naming.samples_of(root, path, [], subject)
        except DataError as error:
            broken.append(str(error))
    if not samples:
        raise DataError(f"{root}: none of {len(paths)} pictures can be read: {broken[0]}")
    notes = [
        f"{len(paths)} pictures without masks, of {len({s.subject for s in samples})} subjects"
    ]
    if broken:
        notes.append(
            f"{len(broken)} pictures cannot be read and are left out: {shorten(broken, 4)}"
        )
    samples = [replace(sample, areas={}) for sample in samples]
    return Catalog(tuple(samples), (), name=root.resolve().name, notes=tuple(notes))


def _folders(root: Path, path: Path) -> tuple[str, ...]:
    """The sub-folders that a picture lies in, without those that are called as parts are."""
    within = path.relative_to(root).parts[:-1]
    return tuple(part for part in within if part.lower() not in naming.PARTS)


def _shared(folders: Sequence[tuple[str, ...]]) -> int:
    """Count the outer folders that all pictures lie in: they distinguish no subjects."""
    first, depth = folders[0], min(map(len, folders))
    return next((n for n in range(depth) if any(each[n] != first[n] for each in folders)), depth)


def _refuse_masks(root: Path, paths: Sequence[Path]) -> None:
    """Raise where masks are among the pictures, by their names or by their values.

    Raises:
        DataError: they are.
    """
    count = f"{root} holds {len(paths)} pictures"
    for path in paths:
        for part in path.relative_to(root).parts[:-1]:
            if _bare(part) in naming.MASK_WORDS or _bare(part).startswith("segmentation"):
                raise DataError(
                    f"{count}, and the folder {part}/ is called as one of masks, but no images "
                    f"belong to them; {EXPECTED}"
                )
    called = [path for path in paths if pairing.is_mask_name(stem(path))]
    volumes = [path for path in called if is_volume(path)]
    if 2 * len(called) > len(paths) or volumes:
        names = shorten([path.name for path in volumes or called], 3)
        raise DataError(
            f"{count}, and {len(called)} are called as masks ({names}), but no images belong to "
            f"them here; {EXPECTED}, volumes all in one folder"
        )
    for pairs in _doubtful(paths):
        masks = [pairing.looks_like_mask(mask, unreadable=False) for _, mask in pairs]
        if all(masks) and not any(pairing.looks_like_mask(image) for image, _ in pairs):
            image, mask = pairs[0]
            raise DataError(
                f"{count}, and {mask.relative_to(root)} looks like the mask of "
                f"{image.relative_to(root)}; {EXPECTED}. If it is no mask, give it another name"
            )


def _bare(name: str) -> str:
    return re.sub(r"[_\-. ]", "", name.lower())


def _doubtful(paths: Sequence[Path]) -> Iterator[list[tuple[Path, Path]]]:
    """List some pictures of which one may be the mask of the other, both ways round.

    They have one name in two folders, or the name of one goes on where that of the other ends.
    """
    folders: dict[Path, dict[str, Path]] = defaultdict(dict)
    for path in paths:
        folders[path.parent][normalise_name(stem(path))] = path
    first, *others = folders.values()
    for other in others[: 2 * LOOKED_AT]:
        common = [(first[name], other[name]) for name in first if name in other][:LOOKED_AT]
        if common:
            yield from (common, [(mask, image) for image, mask in common])
    beside = sorted(paths, key=lambda path: (path.parent, normalise_name(stem(path))))
    near = [
        (one, other)
        for one, other in pairwise(beside)
        if one.parent == other.parent
        and re.match(
            rf"{re.escape(normalise_name(stem(one)))}[_\-. ]\D", normalise_name(stem(other))
        )
    ][:LOOKED_AT]
    if near:
        yield from (near, [(mask, image) for image, mask in near])
