"""From scores of queries to rows of tasks and the headlines of a suite; Dice from 0 to 100."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, median
from typing import Any

from fewshot.benchmark.suite.cells import Cell
from fewshot.metrics.bootstrap import bootstrap_mean
from fewshot.metrics.tables import percent

COPY_MASK = "copy-mask"
SIMPLE = (COPY_MASK, "threshold", "pixel-forest")
WINS = 2.0
"""A simple method wins a task where its Dice is better by more points than this."""
UNIT = "Dice, 0 to 100"


@dataclass(frozen=True)
class Row:
    """One predictor on one task with one number of annotated images.

    Attributes:
        task, predictor, shots: of what.
        mean: over subjects, each the mean over its images and draws, an image's being the mean
            over classes; None where nothing is defined.
        low, high: 95 % bootstrap interval over subjects; None with fewer than two.
        subjects: how many.
        undefined: images without a class in truth and prediction, which are left out.
        learn_seconds, segment_seconds: medians over draws, and over queries.
        expected_error: mean absolute difference of expected and true Dice of an image, in points;
            None where the predictor expects none.
    """

    task: str
    predictor: str
    shots: int
    mean: float | None
    low: float | None
    high: float | None
    subjects: int
    undefined: int
    learn_seconds: float
    segment_seconds: float
    expected_error: float | None


def rows_of(cells: Iterable[Cell]) -> list[Row]:
    """Sum cells up, one row a task, number of annotated images and predictor, in their order."""
    groups: dict[tuple[str, int, str], list[Cell]] = {}
    for cell in cells:
        groups.setdefault((cell.task, cell.shots, cell.predictor), []).append(cell)
    return [_row(group) for group in groups.values()]


def _row(cells: Sequence[Cell]) -> Row:
    queries = [query for cell in cells for query in cell.score.queries]
    found = bootstrap_mean([each.mean for each in queries], [each.subject for each in queries])
    errors = [
        100 * abs(each.expected - each.mean)
        for each in queries
        if each.expected is not None and each.mean == each.mean
    ]
    return Row(
        task=cells[0].task,
        predictor=cells[0].predictor,
        shots=cells[0].shots,
        mean=percent(found.mean),
        low=percent(found.low),
        high=percent(found.high),
        subjects=found.subjects,
        undefined=found.undefined,
        learn_seconds=median(cell.score.learn_seconds for cell in cells),
        segment_seconds=median(each.seconds for each in queries),
        expected_error=fmean(errors) if errors else None,
    )


def headlines(
    rows: Sequence[Row],
    predictors: Sequence[str],
    shots: Sequence[int],
    tasks: Sequence[str],
    mean: str | None = None,
) -> list[dict[str, Any]]:
    """Compute the named numbers over tasks.

    Args:
        rows: of `rows_of`.
        predictors: the first is the one that the numbers are of.
        shots: the means are given for each; counts and regret without a number are of the first.
        tasks: those that nothing was chosen on.
        mean: name of the mean of the only number of annotated images.

    Returns:
        Entries of `headline` in result files; without `expected_dice_error` where the predictor
        expects nothing.
    """
    found = []
    for number in shots:
        means = {name: _means(rows, name, number, tasks) for name in predictors}
        errors = {
            row.task: row.expected_error
            for row in rows
            if (row.predictor, row.shots) == (predictors[0], number)
            and row.task in tasks
            and row.expected_error is not None
        }
        ending = "" if number == shots[0] else f"_{number}shot"
        found.append(
            _over_tasks(
                *(mean or f"suite_{number}shot_mean", means[predictors[0]], UNIT),
                baseline=means.get(COPY_MASK),
            )
        )
        found += _compared(means, predictors[0], ending)
        if errors:
            found.append(_over_tasks("expected_dice_error" + ending, errors, "points of Dice"))
    return found


def task_means(
    rows: Sequence[Row], predictors: Sequence[str], shots: Sequence[int], tasks: Sequence[str]
) -> list[dict[str, Any]]:
    """Average every predictor over tasks.

    Args:
        rows: of `rows_of`.
        predictors: of which.
        shots: a mean for each number of annotated images.
        tasks: those that nothing was chosen on.

    Returns:
        An entry a predictor and number: "predictor", "shots", "mean", "low" and "high" (95 %
        bootstrap interval over tasks) and "tasks", how many have a Dice.
    """
    found = []
    for number in shots:
        for name in predictors:
            values = _means(rows, name, number, tasks)
            mean = bootstrap_mean(list(values.values()), list(values))
            bounds = {"mean": mean.mean, "low": mean.low, "high": mean.high}
            known = {key: _known(value) for key, value in bounds.items()}
            found.append({"predictor": name, "shots": number, **known, "tasks": len(values)})
    return found


def _compared(
    means: Mapping[str, Mapping[str, float]], first: str, ending: str
) -> list[dict[str, Any]]:
    """Compare a predictor with the simple ones, and with the best of all, task by task."""
    own = means[first]
    simple = [means[name] for name in SIMPLE if name in means and name != first]
    wins = sum(
        any(other.get(task, 0.0) > mean + WINS for other in simple) for task, mean in own.items()
    )
    lost = {
        task: max(other.get(task, mean) for other in means.values()) - mean
        for task, mean in own.items()
    }
    name = "tasks_where_a_simple_method_wins" + ending
    return [
        _entry(name, float(wins), (None, None), None, f"of {len(own)} tasks"),
        _over_tasks("regret_against_oracle" + ending, lost, "points of Dice"),
    ]


def _means(
    rows: Sequence[Row], predictor: str, shots: int, tasks: Sequence[str]
) -> dict[str, float]:
    return {
        row.task: row.mean
        for row in rows
        if (row.predictor, row.shots) == (predictor, shots)
        and row.task in tasks
        and row.mean is not None
    }


def _over_tasks(
    name: str, values: Mapping[str, float], unit: str, baseline: Mapping[str, float] | None = None
) -> dict[str, Any]:
    """Mean over tasks, with its interval by drawing tasks; the baseline's on the same tasks."""
    found = bootstrap_mean(list(values.values()), list(values))
    bounds = (_known(found.low), _known(found.high))
    both = [baseline[task] for task in values if task in baseline] if baseline else []
    return _entry(name, _known(found.mean), bounds, fmean(both) if both else None, unit)


def _known(value: float) -> float | None:
    return value if value == value else None  # JSON has no NaN


def _entry(
    name: str,
    value: float | None,
    interval: tuple[float | None, float | None],
    baseline: float | None,
    unit: str,
) -> dict[str, Any]:
    return {
        "name": name,
        "value": value,
        "ci95": list(interval),
        "baseline": baseline,
        "unit": unit,
    }
