"""The table as a picture: a dot with its interval for every method, protocol by protocol."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from episodes.io.write import atomic_write
from fewshot.benchmark.aggregate import Row
from fewshot.benchmark.headlines import place_of
from fewshot.benchmark.methods import COPY_MASK, FEATURE_GRID

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00")  # Okabe-Ito
_GREY = "#777777"


def draw(path: Path, rows: Sequence[Row]) -> None:
    """Draw one panel a protocol, training exclusion and support, all with one scale.

    Args:
        path: of the PNG.
        rows: of the table.
    """
    from matplotlib.figure import Figure

    places = list(dict.fromkeys(map(place_of, rows)))
    groups = [[row for row in rows if place_of(row) == place] for place in places]
    heights = [len(group) + 1.2 for group in groups]
    figure = Figure(figsize=(8, 0.28 * sum(heights) + 1), layout="constrained")
    panels = figure.subplots(
        len(groups), 1, sharex=True, squeeze=False, gridspec_kw={"height_ratios": heights}
    )[:, 0]
    names = list(dict.fromkeys(row["method"] for row in rows))
    own = [name for name in names if name not in (COPY_MASK, FEATURE_GRID)]
    for axes, place, group in zip(panels, places, groups, strict=True):
        _panel(axes, group, {name: _COLOURS[i % len(_COLOURS)] for i, name in enumerate(own)})
        axes.set_title(
            "{}, training exclusion {}, support {}".format(*place), loc="left", fontsize=10
        )
    panels[-1].set_xlabel(
        f"{rows[0]['unit']}: mean with its 95 % interval over subjects;\nthin line: lowest to "
        "highest run"
    )
    panels[-1].set_xlim(0, 100)
    with atomic_write(path) as partial:
        figure.savefig(partial, dpi=130)


def _panel(axes: "Axes", rows: Sequence[Row], colours: dict[str, str]) -> None:
    shown = [row for row in rows if row["mean"] is not None]
    for place, row in enumerate(shown):
        colour = colours.get(row["method"], _GREY)
        hollow = row["method"] not in colours
        runs = [row["lowest_run"], row["highest_run"]]
        axes.plot(runs, [place] * 2, "-|" if row["runs"] > 1 else "-", color=colour, lw=0.8)
        if row["ci95"][0] is not None:
            axes.plot(row["ci95"], [place] * 2, color=colour, lw=3.5, alpha=0.45)
        face = "white" if hollow else colour
        if hollow:  # what to beat, and what is out of reach
            axes.axvline(row["mean"], color=colour, lw=0.8, ls=":", zorder=0)
        axes.plot(row["mean"], place, "o", color=colour, mfc=face, ms=6, zorder=3)
        edge = max(row["mean"], row["highest_run"], row["ci95"][1] or 0)
        axes.text(edge + 1.2, place, f"{row['mean']:.1f}", va="center", fontsize=8, color=colour)
    axes.set_yticks(range(len(shown)), [row["method"] for row in shown], fontsize=9)
    axes.set_ylim(len(shown) - 0.4, -0.6)
    axes.grid(axis="x", color="#dddddd", lw=0.6)
    axes.set_axisbelow(True)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.tick_params(left=False)
