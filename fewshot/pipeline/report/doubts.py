"""What to know before the numbers are used: borders, expected quality, units, failures."""

from collections.abc import Mapping, Sequence
from typing import Any

from episodes.errors import shorten

Row = Mapping[str, Any]


def doubts(
    rows: Sequence[Row],
    classes: Sequence[Row],
    failed: Sequence[str],
    earlier: Sequence[str],
    units: Sequence[str],
) -> list[str]:
    """List sentences for the head of a report.

    Args:
        rows: of the images.
        classes: rows of the table of classes, of all images.
        failed: messages of images that could not be segmented.
        earlier: warnings of the annotated images.
        units: of sizes.
    """
    found = list(earlier)
    if failed:
        are = "image failed and is" if len(failed) == 1 else "images failed and are"
        found.append(f"{len(failed):,} {are} not in the tables; see Failed images.")
    touching = sum(each["touching_border"] for each in classes)
    if touching:
        total = sum(each["count"] for each in classes)
        verb = "touches" if touching == 1 else "touch"
        found.append(
            f"{touching:,} of {total:,} objects {verb} the border of their image. A part of each "
            "may be missing, so their sizes are lower bounds; the tables mark them."
        )
    if len(units) > 1:
        found.append(
            f"Sizes have different units ({', '.join(units)}), as the files tell; compare images "
            "of one unit only."
        )
    if changed := [str(row["image"]) for row in rows if row.get("changed")]:
        found.append(
            f"The results of {shorten(changed, 5)} were changed after they were written; the "
            "tables are of what was written first."
        )
    notes: dict[str, list[str]] = {}
    for row in rows:
        for note in row.get("notes", ()):
            notes.setdefault(note, []).append(str(row["image"]))
    for note, images in notes.items():
        sentence = note[:1].upper() + note[1:].rstrip(".")
        named = any(image.rpartition("/")[2] in note for image in images)
        about = "" if named else _of(images, len(rows))
        found.append(f"{sentence}{about}.")
    return found


def _of(images: Sequence[str], count: int) -> str:
    if len(images) == count > 1:
        return f" (all {count:,} images)"
    if len(images) == 1:
        return f" ({images[0]})"
    return f" ({len(images):,} images: {shorten(images, 3)})"
