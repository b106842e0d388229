"""The numbers of a report: facts, tables with their units, and histograms."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from fewshot.pipeline.report.histogram import histogram
from fewshot.pipeline.report.markup import escape, table, unit
from fewshot.pipeline.tables import all_rows

Row = Mapping[str, Any]

_CLASS_ROWS, _OBJECT_ROWS = 200, 100
"""Rows that a page shows; the files have all."""
_CHARTED = 2_000_000  # objects of which a histogram is drawn at most
_CLASSES = 12  # histograms at most


def units_of(classes: Iterable[Row]) -> list[str]:
    """List the units of sizes, as they are printed."""
    return [unit(name) for name in dict.fromkeys(str(row["unit"]) for row in classes)]


def facts(rows: Sequence[Row], classes: Sequence[Row], failed: Sequence[str]) -> str:
    """Show how many images and objects there are."""
    counts: dict[str, int] = {}
    for row in classes:
        counts[row["class"]] = counts.get(row["class"], 0) + row["count"]
    per = {name: count / max(1, len(rows)) for name, count in counts.items()}
    shown = [("Images", f"{len(rows):,}", f"{len(failed)} failed" if failed else "")]
    shown += [
        (f"Objects: {name}", f"{count:,}", f"{per[name]:.3g} an image")
        for name, count in islice(counts.items(), 7)
    ]
    touching, total = (sum(row[key] for row in classes) for key in ("touching_border", "count"))
    if total:
        shown.append(("Touching the border", f"{touching:,}", f"{touching / total:.0%} of objects"))
    items = "".join(
        f"<div><dt>{escape(name)}</dt><dd>{escape(value)}"
        + (f" <small>{escape(more)}</small>" if more else "")
        + "</dd></div>"
        for name, value, more in shown
    )
    return f'<dl class="facts">{items}</dl>'


def size_word(units: Sequence[str]) -> str:
    """Name what is measured: areas, volumes, or sizes where both occur or nothing is known."""
    kinds = {name[-1:] for name in units}
    return {"²": "area", "³": "volume"}.get(kinds.pop(), "size") if len(kinds) == 1 else "size"


def class_table(classes: Sequence[Row], units: Sequence[str]) -> str:
    """Show one row an image and class."""
    if not classes:
        return ""
    word, one = size_word(units), units[0] if len(units) == 1 else ""
    behind = f" ({one})" if one else ""
    dice = any(row.get("expected_dice") is not None for row in classes)
    heads = [
        *("Image", "Class", "Objects", "Touching the border"),
        *(f"Total {word}{behind}", f"Mean {word}{behind}", *(() if one else ("Unit",))),
        *("Share of image (%)", "Mean intensity (image values)", "Confidence (0 to 1)"),
        *(("Expected Dice (0 to 1)",) if dice else ()),
    ]
    rows = (
        [
            *(row["image"], row["class"], row["count"], row["touching_border"]),
            *(row["total_area"], row["mean_area"], *(() if one else (unit(row["unit"]),))),
            *(100 * row["share"], row["mean_intensity"], row["confidence"]),
            *((row["expected_dice"],) if dice else ()),
        ]
        for row in classes[:_CLASS_ROWS]
    )
    more = _more(len(classes), _CLASS_ROWS, "summary.csv")
    return table("One row an image and class", heads, rows, words=2) + more


def object_table(objects: Iterable[Row], classes: Sequence[Row]) -> str:
    """Show the first objects of the run, one row each."""
    first = list(islice(objects, _OBJECT_ROWS))
    if not first:
        return '<p class="soft">No object was found.</p>'
    units = units_of(first)
    word, one = size_word(units), units[0] if len(units) == 1 else ""
    behind = f" ({one})" if one else ""
    length = one.rstrip("²³") or "px"
    flat = all("eccentricity" in row for row in first)
    heads = [
        *("Image", "Class", "Number", f"{word.capitalize()}{behind}", *(() if one else ("Unit",))),
        f"Equivalent diameter{f' ({length})' if one else ''}",
        *(("Eccentricity (0 to 1)", "Solidity (0 to 1)") if flat else ()),
        "Mean intensity (image values)",
        *(*(() if flat else ("Plane",)), "Row (px)", "Column (px)", "Touches border"),
    ]
    rows = (
        [
            *(row["image"], row["class"], row["number"], row["area"]),
            *(() if one else (unit(row["unit"]),)),
            row["equivalent_diameter"],
            *((row["eccentricity"], row["solidity"]) if flat else ()),
            _intensity(row),
            *(*(() if flat else (row["plane"],)), row["row"], row["column"]),
            "yes" if row["touches_border"] else "no",
        ]
        for row in first
    )
    total = sum(row["count"] for row in classes)
    caption = "One row an object; its number stands in the picture"
    listed = table(caption, heads, rows, words=2) + _more(total, _OBJECT_ROWS, "objects.csv")
    summary = f"<summary>{min(total, _OBJECT_ROWS):,} objects</summary>"
    return f"<details{' open' if total <= 30 else ''}>{summary}{listed}</details>"


def charts(out: Path, rows: Sequence[Row], classes: Sequence[Row], units: Sequence[str]) -> str:
    """Draw the sizes of the objects of each class, where they have one unit."""
    total = sum(row["count"] for row in classes)
    if len(units) != 1 or not 0 < total <= _CHARTED:
        return ""
    sizes: dict[str, list[float]] = {row["class"]: [] for row in classes}
    for row in all_rows(out, rows, "objects"):
        sizes.setdefault(row["class"], []).append(row["area"])
    drawn = [
        histogram(name, np.array(found), units[0], place)
        for place, (name, found) in enumerate(islice(sizes.items(), _CLASSES))
        if len(found) >= 5
    ]
    return f'<div class="charts">{"".join(drawn)}</div>' if drawn else ""


def _intensity(row: Row) -> float | None:
    """Mean intensity; of colours the mean of their channels."""
    found = [value for name, value in row.items() if name.startswith("mean_intensity")]
    return float(np.mean(found)) if found else None


def _more(total: int, shown: int, name: str) -> str:
    if total <= shown:
        return f'<p class="more">The same with every column: {name}.</p>'
    return f'<p class="more">{shown:,} of {total:,} rows; all are in {name}.</p>'
