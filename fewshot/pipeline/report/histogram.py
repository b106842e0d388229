"""The sizes of the objects of a class as a histogram, drawn in SVG."""

import numpy as np

from fewshot.pipeline.report.markup import escape, number
from fewshot.plots.overlays import COLOURS

_WIDTH, _HEIGHT, _FOOT, _SIDE = 360, 170, 34, 34
_MOST = 24  # bars


def histogram(name: str, sizes: np.ndarray, unit: str, place: int) -> str:
    """Draw how many objects have which size.

    Args:
        name: of the class.
        sizes: of its objects, in one unit.
        unit: as it is printed.
        place: of the class among all, which chooses its colour.
    """
    counts, edges = np.histogram(sizes, bins=_bins(sizes))
    top = int(counts.max())
    wide = (_WIDTH - _SIDE) / len(counts)
    red, green, blue = COLOURS[place % len(COLOURS)].tolist()
    bars = "".join(
        f'<rect x="{_SIDE + n * wide + 0.5:.1f}" y="{_HEIGHT - _height(count, top):.1f}" '
        f'width="{wide - 1:.1f}" height="{_height(count, top):.1f}" '
        f'fill="rgb({red},{green},{blue})"/>'
        for n, count in enumerate(counts.tolist())
        if count
    )
    middle = float(np.median(sizes))
    about = f"{len(sizes):,} objects, median {number(middle)} {unit}"
    labels = "".join(
        f'<text x="{x}" y="{y}" text-anchor="{anchor}">{escape(text)}</text>'
        for x, y, anchor, text in (
            (_SIDE, _HEIGHT + 15, "start", number(float(edges[0]))),
            (_WIDTH, _HEIGHT + 15, "end", number(float(edges[-1]))),
            ((_WIDTH + _SIDE) / 2, _HEIGHT + 30, "middle", f"size of an object ({unit})"),
            (_SIDE - 6, 16, "end", f"{top:,}"),
            (_SIDE - 6, _HEIGHT, "end", "0"),
        )
    )
    line = f'<line x1="{_SIDE}" x2="{_WIDTH}" y1="{_HEIGHT}" y2="{_HEIGHT}" stroke="currentColor" '
    return (
        f'<figure class="chart"><figcaption><h3>{escape(name)}</h3><p>{escape(about)}</p>'
        f'</figcaption><svg viewBox="0 0 {_WIDTH} {_HEIGHT + _FOOT}" role="img" '
        f'aria-label="{escape(f"Histogram of sizes of {name}: {about}")}">{bars}'
        f'{line}stroke-opacity=".4"/>{labels}</svg></figure>'
    )


def _bins(sizes: np.ndarray) -> int:
    return int(np.clip(np.ceil(np.sqrt(len(sizes)) * 1.5), 5, _MOST))


def _height(count: int, top: int) -> float:
    return (_HEIGHT - 8) * count / top
