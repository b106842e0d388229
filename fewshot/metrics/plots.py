"""Pictures of a report: scores by class, paired differences, agreement of volumes and counts.

Every function draws on the axes that it is given, or on a new figure, and returns the axes:
``plot_by_target(report, "dice").figure.savefig("dice.png")``.
"""

from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from episodes.io.write import atomic_write
from fewshot.metrics.arrays import as_array
from fewshot.metrics.bootstrap import bootstrap_mean
from fewshot.metrics.comparison import differences
from fewshot.metrics.report import Report

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00")  # Okabe-Ito
PlotKind = Literal["box", "violin"]


class BlandAltman(NamedTuple):
    """Agreement of two measurements of the same thing.

    Attributes:
        bias: mean difference.
        low: lower limit of agreement: 95 % of the differences lie above it if they are normal.
        high: upper limit of agreement.
    """

    bias: float
    low: float
    high: float


def plot_by_target(
    report: Report,
    score: str,
    *,
    kind: PlotKind = "box",
    axes: "Axes | None" = None,
) -> "Axes":
    """Draw the distribution of one score for each target, methods side by side.

    Args:
        report: what to draw.
        score: name of the score.
        kind: "box" or "violin"; the cases are drawn as points on top. Undefined cases, and missing
            ones without a penalty, cannot be drawn and are counted under the name of the target.
        axes: where to draw; None makes a figure.

    Returns:
        The axes.

    Raises:
        ValueError: the kind is not one of those named, or the report has no such score.

    Example:
        >>> report = Report()
        >>> report.add("scan 1", "anna", {"dice": 0.75}, target="liver")
        >>> plot_by_target(report, "dice").get_ylabel()
        'dice'
    """
    if kind not in ("box", "violin"):
        raise ValueError(f"kind is {kind!r}, expected 'box' or 'violin'")
    rows = [row for row in report.rows if row.score == score]
    if not rows:
        known = sorted({row.score for row in report.rows})
        raise ValueError(f"no score {score!r}; the report has {known}")
    targets = list(dict.fromkeys(row.target for row in rows))
    methods = list(dict.fromkeys(row.method for row in rows))
    axes = _axes(axes)
    left_out = dict.fromkeys(targets, 0)
    present = {(row.target, row.method) for row in rows}
    for index, method in enumerate(methods):
        colour = _COLOURS[index % len(_COLOURS)]
        for place, target in enumerate(targets):
            if (target, method) not in present:
                continue
            values, _, _ = report.values(score, target=target, method=method)
            finite = values[np.isfinite(values)]
            left_out[target] += len(values) - len(finite)
            centre = place + (index - (len(methods) - 1) / 2) * 0.8 / len(methods)
            _draw_values(axes, finite, centre, 0.6 / len(methods), kind, colour)
        axes.plot([], [], "o", color=colour, label=method)
    names = [f"{each}\n({left_out[each]} left out)" if left_out[each] else each for each in targets]
    axes.set_xticks(range(len(targets)), names)
    axes.set_ylabel(score)
    if any(methods):
        axes.legend(frameon=False)
    return axes


def save_plot(
    report: Report, path: str | PathLike[str], score: str, *, kind: PlotKind = "box"
) -> None:
    """Draw the distribution of one score by target and method.

    Args:
        path: a .png, .svg or .pdf file; what was there is replaced.
        score: its name.
        kind: "box" or "violin".

    Raises:
        ValueError: the report has no such score.

    Example:
        >>> save_plot(Report(), "dice.png", "dice")
        Traceback (most recent call last):
        ValueError: no score 'dice'; the report has []
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 4), layout="constrained")
    plot_by_target(report, score, kind=kind, axes=figure.subplots())
    with atomic_write(Path(path)) as partial:
        figure.savefig(partial, dpi=150)


def plot_differences(
    report: Report,
    score: str,
    first: str,
    second: str,
    *,
    target: str = "",
    axes: "Axes | None" = None,
) -> "Axes":
    """Draw what one method gains over another, case by case, with the interval of the mean.

    Args:
        report: what to draw; it holds both methods.
        score: name of the score.
        first: a method.
        second: another method; above the zero line the first has the larger score.
        target: the class or organ.
        axes: where to draw; None makes a figure.

    Returns:
        The axes.

    Raises:
        KeyError: a method lacks the score.
        ValueError: the methods share no case, or a value is infinite and has no penalty.

    Example:
        >>> report = Report()
        >>> report.add("scan 1", "anna", {"dice": 0.75}, method="ours")
        >>> report.add("scan 1", "anna", {"dice": 0.5}, method="theirs")
        >>> plot_differences(report, "dice", "ours", "theirs").get_ylabel()
        'dice: ours - theirs'
    """
    value, subjects, cases = report.values(score, target=target, method=first)
    other_value, _, other_cases = report.values(score, target=target, method=second)
    others = dict(zip(other_cases, other_value.tolist(), strict=True))
    shared = [index for index, case in enumerate(cases) if case in others]
    if not shared:
        raise ValueError(f"{first!r} and {second!r} share no case of {score!r}, target {target!r}")
    apart = differences(value[shared], [others[cases[index]] for index in shared])
    interval = bootstrap_mean(
        apart,
        [subjects[index] for index in shared],
        level=report.level,
        resamples=report.resamples,
        seed=report.seed,
    )
    axes = _axes(axes)
    ordered = np.sort(apart[~np.isnan(apart)])
    colours = [_COLOURS[0] if each >= 0 else _COLOURS[1] for each in ordered]
    axes.bar(np.arange(len(ordered)), ordered, color=colours, width=0.8)
    axes.axhline(0, color="black", linewidth=0.8)
    axes.axhline(interval.mean, color="0.3", linestyle="--", label=f"mean {interval}")
    if np.isfinite(interval.low):
        axes.axhspan(interval.low, interval.high, color="0.5", alpha=0.25, linewidth=0)
    axes.set_xlabel("cases, sorted")
    axes.set_xticks([])
    axes.set_ylabel(f"{score}: {first} - {second}")
    axes.legend(frameon=False)
    return axes


def bland_altman(measured: Any, reference: Any) -> BlandAltman:
    """Bias and 95 % limits of agreement of two measurements.

    Args:
        measured: one number a case ``[case]``, such as volumes or counts; NaN is left out.
        reference: the same cases by the other measurement.

    Returns:
        Mean difference and mean +- 1.96 standard deviations; NaN limits with fewer than two cases.

    Raises:
        ValueError: the lengths differ, or a value is infinite.

    Example:
        Differences 1 and 3: mean 2, standard deviation 1.4142.

        >>> tuple(round(each, 2) for each in bland_altman([11, 23], [10, 20]))
        (2.0, -0.77, 4.77)

    Paper:
        Bland and Altman, Statistical methods for assessing agreement between two methods of
        clinical measurement, The Lancet 1986.
    """
    apart = differences(measured, reference)
    apart = apart[~np.isnan(apart)]
    bias = float(apart.mean()) if len(apart) else float("nan")
    spread = 1.96 * float(apart.std(ddof=1)) if len(apart) > 1 else float("nan")
    return BlandAltman(bias, bias - spread, bias + spread)


def plot_bland_altman(
    measured: Any, reference: Any, *, unit: str = "", axes: "Axes | None" = None
) -> "Axes":
    """Draw the difference of two measurements against their mean, with the limits of agreement.

    Args:
        measured: one number a case ``[case]``, such as volumes or counts.
        reference: the same cases by the other measurement.
        unit: of both, for the labels.
        axes: where to draw; None makes a figure.

    Returns:
        The axes.

    Raises:
        ValueError: see ``bland_altman``.

    Example:
        >>> plot_bland_altman([11, 23], [10, 20], unit="ml").get_xlabel()
        'mean of both (ml)'
    """
    agreement = bland_altman(measured, reference)
    apart = differences(measured, reference)
    middle = np.asarray(as_array(reference), np.float64) + apart / 2
    axes = _axes(axes)
    axes.scatter(middle, apart, s=16, color=_COLOURS[0], alpha=0.7, linewidth=0)
    axes.axhline(0, color="black", linewidth=0.8)
    axes.axhline(agreement.bias, color=_COLOURS[1], label=f"bias {agreement.bias:.3g}")
    limits = f"limits {agreement.low:.3g} to {agreement.high:.3g}"
    if np.isfinite(agreement.low):
        axes.axhline(agreement.low, color=_COLOURS[1], linestyle="--", label=limits)
        axes.axhline(agreement.high, color=_COLOURS[1], linestyle="--")
    suffix = f" ({unit})" if unit else ""
    axes.set_xlabel(f"mean of both{suffix}")
    axes.set_ylabel(f"measured - reference{suffix}")
    axes.legend(frameon=False)
    return axes


def _axes(axes: "Axes | None") -> "Axes":
    if axes is None:
        from matplotlib.figure import Figure  # without pyplot: no window, nothing global

        axes = Figure(figsize=(6, 4), layout="constrained").subplots()
    axes.spines[["top", "right"]].set_visible(False)
    return axes


def _draw_values(
    axes: "Axes",
    values: NDArray[np.float64],
    centre: float,
    width: float,
    kind: str,
    colour: str,
) -> None:
    if not values.size:
        return
    if kind == "violin" and np.ptp(values) > 0:  # a density needs two different values
        for body in axes.violinplot(values, [centre], widths=width)["bodies"]:  # type: ignore[attr-defined]
            body.set(facecolor=colour, alpha=0.3)
    elif kind == "box":
        line = {"color": colour}
        axes.boxplot(
            values,
            positions=[centre],
            widths=width,
            showfliers=False,
            medianprops=line,
            boxprops=line,
            whiskerprops=line,
            capprops=line,
        )
    spread = np.random.default_rng(0).uniform(-0.25, 0.25, len(values)) * width
    axes.plot(centre + spread, values, "o", color=colour, markersize=3, alpha=0.5)
