"""What readers share: words for images and masks, subjects from names, safe listings."""

import re
from collections.abc import Iterator
from pathlib import Path

from episodes.decode import is_readable, stem
from episodes.errors import DataError, shorten

IMAGE_WORDS = ("images", "image", "imgs", "img", "imagestr")
MASK_WORDS = (
    *("masks", "mask", "labels", "label", "labelstr", "annotations", "annotation"),
    *("instances", "segmentations", "segmentation", "seg", "gt", "groundtruth"),
)


def subfolder(root: Path, words: tuple[str, ...]) -> Path | None:
    """Find the sub-folder with one of these names, in the order of the words, in any case."""
    folders = {p.name.lower(): p for p in root.iterdir() if p.is_dir()}
    return next((folders[word] for word in words if word in folders), None)


def files(folder: Path) -> Iterator[Path]:
    """List the readable, visible files of a folder and its sub-folders, sorted by name."""
    for path in sorted(folder.rglob("*")):
        hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
        if is_readable(path) and path.is_file() and not hidden:
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
