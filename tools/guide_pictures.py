"""Draw the pictures of docs/choosing-scores-and-losses.md and fill in its tables.

    python tools/guide_pictures.py

Every picture and every number of the guide comes from the synthetic scenes below. A table stands
between two comments, ``<!-- table: NAME -->`` and ``<!-- end -->``, and is replaced at every run.
"""

import re
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from scipy import ndimage

from fewshot.metrics import agreement, instances, overlap, skeleton, surface

ROOT = Path(__file__).resolve().parent.parent
GUIDE = ROOT / "docs" / "choosing-scores-and-losses.md"
PICTURES = ROOT / "docs" / "pictures"

# right, missed, invented (Okabe-Ito: told apart by colour-blind readers too)
BACKGROUND, RIGHT, MISSED, INVENTED = "#f4f4f4", "#8a8a8a", "#0072b2", "#d55e00"

Mask = np.ndarray
Table = tuple[list[str], list[list[str]]]


def disc(shape: tuple[int, int], centre: tuple[float, float], radius: float) -> Mask:
    """Mark a disc; half a pixel more than the radius keeps its rim free of single pixels."""
    rows, columns = np.ogrid[: shape[0], : shape[1]]
    return (rows - centre[0]) ** 2 + (columns - centre[1]) ** 2 <= (radius + 0.5) ** 2


def mask_dice(labels: Mask, reference: Mask) -> float:
    """Score the foreground of two maps."""
    return float(overlap.dice(overlap.confusion_matrix(labels > 0, reference > 0, 2))[1])


def mask_iou(labels: Mask, reference: Mask) -> float:
    """Score the foreground of two maps."""
    return float(overlap.iou(overlap.confusion_matrix(labels > 0, reference > 0, 2))[1])


def show(axes: Axes, labels: Mask, reference: Mask, title: str) -> None:
    """Draw what is right, missed and invented."""
    kinds = (
        (reference > 0) * 2 - (reference > 0) * (labels > 0) + 3 * (labels > 0) * (reference == 0)
    )
    colours = ListedColormap([BACKGROUND, RIGHT, MISSED, INVENTED])
    axes.imshow(kinds, cmap=colours, vmin=0, vmax=3, interpolation="nearest")
    axes.set_title(title, fontsize=10)
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[:].set_color("0.7")


def legend(figure: Figure) -> None:
    """Say below the panels what the colours of ``show`` mean."""
    entries = {"right": RIGHT, "missed": MISSED, "invented": INVENTED}
    patches = [matplotlib.patches.Patch(color=each) for each in entries.values()]
    figure.legend(patches, entries, loc="outside lower center", ncols=3, frameon=False, fontsize=9)


def panels(count: int, height: float = 3.0) -> tuple[Figure, np.ndarray]:
    """Make a figure of square panels side by side."""
    figure = Figure(figsize=(2.6 * count, height), layout="constrained", dpi=110)
    return figure, figure.subplots(1, count, squeeze=False)[0]


def markdown(table: Table) -> str:
    """Write a table as Markdown, numbers aligned to the right."""
    head, rows = table
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" + "---:|" * (len(head) - 1)]
    return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in rows)])


def one_bad_case() -> tuple[Figure, Table]:
    """Show ten cases by two methods: one is always a little off, one fails in a single case."""
    shape, radius = (88, 88), 22.0
    reference = disc(shape, (44, 40), radius)
    steady = [np.roll(reference, 6, axis=1)] * 10
    failing = [np.roll(reference, 3, axis=1)] * 9 + [disc(shape, (18, 68), 11)]
    methods = {"steady": steady, "one failure": failing}
    rows, scores = [], {}
    for name, cases in methods.items():
        dice = [mask_dice(each, reference) for each in cases]
        iou = [mask_iou(each, reference) for each in cases]
        rows.append([name, f"{np.mean(dice):.3f}", f"{np.mean(iou):.3f}", f"{np.min(dice):.3f}"])
        scores[name] = (dice, iou)
    figure, grid = panels(4, height=3.3)
    shown = [("steady", 0, "10 of 10"), ("one failure", 0, "9 of 10")]
    shown.append(("one failure", 9, "1 of 10"))
    for axes, (name, case, share) in zip(grid, shown, strict=False):
        values = f"Dice {scores[name][0][case]:.2f}, IoU {scores[name][1][case]:.2f}"
        show(axes, methods[name][case], reference, f"{name}, {share}\n{values}")
    line = np.linspace(0, 1, 101)
    grid[3].plot(line, line / (2 - line), color="0.3")
    for (name, points), colour in zip(scores.items(), (MISSED, INVENTED), strict=True):
        grid[3].plot(*points, "o", color=colour, label=name, clip_on=False)
    grid[3].set(xlabel="Dice", ylabel="IoU", xlim=(0, 1), ylim=(0, 1), box_aspect=1)
    grid[3].set_title("IoU = Dice / (2 - Dice)\nslope 1/2 at 0, slope 2 at 1", fontsize=10)
    grid[3].spines[["top", "right"]].set_visible(False)
    grid[3].legend(frameon=False, fontsize=9, loc="upper left")
    legend(figure)
    return figure, (["method", "mean Dice", "mean IoU", "worst Dice"], rows)


def imbalance() -> tuple[Figure, Table]:
    """Show a small lesion in a large image."""
    shape = (128, 128)
    reference = disc(shape, (84, 50), 6)
    answers = {
        "nothing": np.zeros(shape, bool),
        "half of it": reference & (np.arange(128) < 50),
        "too much": disc(shape, (84, 50), 11),
    }
    rows = []
    figure, grid = panels(3)
    for axes, (name, labels) in zip(grid, answers.items(), strict=True):
        confusion = overlap.confusion_matrix(labels, reference, 2)
        dice = overlap.dice(confusion)
        scores = [
            agreement.pixel_accuracy(confusion),
            dice.mean(),
            dice[1],
            overlap.precision(confusion)[1],
            overlap.recall(confusion)[1],
            agreement.matthews_correlation(confusion),
        ]
        rows.append([name, *(f"{float(each):.3f}" for each in scores)])
        show(axes, labels, reference, f"{name}\naccuracy {scores[0]:.3f}, Dice {dice[1]:.2f}")
    legend(figure)
    head = ["prediction", "pixel accuracy", "Dice, mean with background", "Dice of the lesion"]
    return figure, ([*head, "precision", "recall", "MCC"], rows)


def vessels(shape: tuple[int, int] = (96, 96)) -> Mask:
    """Draw the centre lines of a small branching tree."""
    lines = np.zeros(shape, bool)
    branches = [((4, 48), (40, 46)), ((40, 46), (90, 18)), ((40, 46), (64, 66))]
    branches += [((64, 66), (91, 58)), ((64, 66), (86, 90)), ((62, 34), (88, 40))]
    for (top, left), (bottom, right) in branches:
        steps = np.linspace(0, 1, 200)
        wave = 2.0 * np.sin(steps * np.pi * 2) * (1 - steps)
        rows = top + steps * (bottom - top)
        columns = left + steps * (right - left) + wave
        lines[rows.round().astype(int), columns.round().astype(int)] = True
    return lines


def thin_structures() -> tuple[Figure, Table]:
    """Show a vessel tree found whole but thin, and found wide but broken."""
    lines = vessels()
    reference = ndimage.distance_transform_edt(~lines) <= 2.5
    broken = reference.copy()
    for row, column in ((52, 38), (53, 56), (76, 26), (78, 78), (20, 48)):
        broken &= ~disc(lines.shape, (row, column), 5.0)
    answers = {"whole but thin": ndimage.distance_transform_edt(~lines) <= 1.0, "broken": broken}
    rows = []
    figure, grid = panels(2)
    for axes, (name, labels) in zip(grid, answers.items(), strict=True):
        distances = surface.surface_distances(labels, reference)
        centreline = skeleton.cl_dice(labels, reference).dice
        pieces = ndimage.label(labels, np.ones((3, 3)))[1]
        scores = [mask_dice(labels, reference), centreline, surface.nsd(distances, 2.0)]
        rows.append([name, *(f"{each:.3f}" for each in scores), str(pieces)])
        show(axes, labels, reference, f"{name}\nDice {scores[0]:.2f}, clDice {centreline:.2f}")
    legend(figure)
    return figure, (["prediction", "Dice", "clDice", "NSD at 2 px", "pieces"], rows)


def cells() -> np.ndarray:
    """Make an instance map of discs, most of them touching a neighbour."""
    places = [(20, 18, 11), (20, 39, 11), (44, 27, 12), (76, 20, 12), (70, 42, 11), (22, 74, 12)]
    places += [(44, 84, 12), (44, 61, 10), (80, 70, 13), (82, 88, 7)]
    labels = np.zeros((100, 104), int)
    for identity, (row, column, radius) in enumerate(places, start=1):
        labels[disc(labels.shape, (row, column), radius) & (labels == 0)] = identity
    return labels


def counting() -> tuple[Figure, Table]:
    """Show all pixels right but cells merged, and cells apart but too small."""
    reference = cells()
    merged = ndimage.label(reference > 0)[0]
    small = np.zeros_like(reference)
    for identity in range(1, reference.max() + 1):
        small[ndimage.binary_erosion(reference == identity, iterations=1)] = identity
    rows = []
    figure, grid = panels(3)
    shown = {"reference": reference, "merged": merged, "apart but small": small}
    for axes, (name, labels) in zip(grid, shown.items(), strict=True):
        table = instances.overlap_table(labels, reference)
        counts = instances.match_counts(table)
        error = instances.count_error(table)
        scores = [
            mask_dice(labels, reference),
            float(instances.f1(counts)[0]),
            instances.dsb_score(table),
            instances.aggregated_jaccard(table),
            float(instances.panoptic_quality(counts)[0]),
        ]
        if name != "reference":
            rows.append([name, *(f"{each:.3f}" for each in scores), f"{error.difference:+d}"])
        title = f"{name}\n{error.predicted} objects, Dice {scores[0]:.2f}"
        colours = matplotlib.colormaps["tab20"](np.arange(20))
        colours = colours[np.arange(labels.max() + 1) % 20]
        colours[0] = matplotlib.colors.to_rgba(BACKGROUND)
        axes.imshow(labels, cmap=ListedColormap(colours), interpolation="nearest")
        axes.set_title(title, fontsize=10)
        axes.set(xticks=[], yticks=[])
        axes.spines[:].set_color("0.7")
    head = ["prediction", "Dice", "F1 at IoU > 0.5", "DSB 2018 score", "AJI", "PQ", "count error"]
    return figure, (head, rows)


def outlines() -> tuple[Figure, Table]:
    """Show an organ with one stray speck, and one with an outline that is off everywhere."""
    shape = (110, 110)
    reference = disc(shape, (48, 46), 30)
    speck = reference | disc(shape, (100, 100), 2)
    answers = {"a stray speck": speck, "off everywhere": disc(shape, (48, 46), 33)}
    rows = []
    figure, grid = panels(2)
    for axes, (name, labels) in zip(grid, answers.items(), strict=True):
        distances = surface.surface_distances(labels, reference)
        scores = [
            surface.hausdorff(distances),
            surface.hd_directed(distances),
            surface.hd_pooled(distances),
            surface.assd(distances),
            surface.nsd(distances, 2.0),
        ]
        dice = mask_dice(labels, reference)
        rows.append([name, f"{dice:.3f}", *(f"{each:.2f}" for each in scores)])
        title = f"HD {scores[0]:.0f}, HD95 {scores[1]:.0f} or {scores[2]:.0f}"
        show(axes, labels, reference, f"{name}\n{title}")
    legend(figure)
    head = ["prediction", "Dice", "HD", "HD95, directed", "HD95, pooled", "ASSD", "NSD at 2 px"]
    return figure, (head, rows)


SCENES = {
    "one-bad-case": one_bad_case,
    "imbalance": imbalance,
    "thin-structures": thin_structures,
    "counting": counting,
    "outlines": outlines,
}


def filled(text: str, tables: dict[str, Table]) -> str:
    """Put the tables between their comments."""
    for name, table in tables.items():
        place = rf"(<!-- table: {name} -->\n).*?(\n<!-- end -->)"
        text, count = re.subn(place, lambda m, t=table: m[1] + markdown(t) + m[2], text, flags=re.S)
        if count != 1:
            raise ValueError(f"{GUIDE.name} has {count} places for the table {name}, expected 1")
    return text


def main() -> None:
    """Draw all pictures and fill in all tables."""
    PICTURES.mkdir(parents=True, exist_ok=True)
    tables = {}
    for name, scene in SCENES.items():
        figure, tables[name] = scene()
        figure.savefig(PICTURES / f"{name}.png", bbox_inches="tight", metadata={"Software": None})
    GUIDE.write_text(filled(GUIDE.read_text(encoding="utf-8"), tables), encoding="utf-8")


if __name__ == "__main__":
    main()
