"""The table of scores of masks: a row a class and method, a column a score."""

from collections import defaultdict
from collections.abc import Sequence

from fewshot.metrics.mask_scores import unit_of
from fewshot.metrics.report import Report, Summary
from fewshot.metrics.tables import with_bounds

ALL = "all"
"""What the mean over classes is called."""


def distance_penalties(names: Sequence[str], diagonal: float) -> dict[str, float]:
    """What a class that one side alone has costs in distance: the diagonal of the largest image."""
    return {name: diagonal for name in names if unit_of(name) == "distance"}


def mask_table(
    report: Report, names: Sequence[str], unit: str
) -> tuple[list[str], list[list[str]]]:
    """Lay out the means with their intervals; shares from 0 to 100.

    Args:
        report: with a target a class.
        names: the scores, in the order of the columns.
        unit: of distances.

    Returns:
        Columns and rows; the mean over classes comes last where there are several.
    """
    found = {(each.method, each.target, each.score): each for each in report.summary()}
    targets = list(dict.fromkeys(target for _, target, _ in found))
    methods = list(dict.fromkeys(method for method, _, _ in found))
    if len(targets) > 1:
        found |= {(each.method, ALL, each.score): each for each in report.over_targets(ALL)}
        targets.append(ALL)
    heads = [f"{name} ({unit})" if unit_of(name) == "distance" else name for name in names]
    columns = ["class", *(["method"] if any(methods) else []), *heads]
    rows = [
        [target, *([method] if any(methods) else []), *cells]
        for target in targets
        for method in methods
        if (cells := [_cell(found.get((method, target, name))) for name in names])
    ]
    return columns, rows


def table_notes(report: Report, unit: str) -> list[str]:
    """What stands behind the means: how many subjects, and what is missing or undefined."""
    subjects = {row.subject for row in report.rows}
    cases = {row.case for row in report.rows}
    means = f"means over {len(subjects)} subjects [{100 * report.level:g} % bootstrap interval]"
    if len(subjects) == 1:
        means = "one subject, so there is no interval"
    lines = [f"{len(cases)} cases, {means}; shares from 0 to 100"]
    lost: dict[tuple[str, int, float], list[str]] = defaultdict(list)
    undefined: dict[tuple[str, int], list[str]] = defaultdict(list)
    for each in report.summary():
        of = " ".join(filter(None, (each.target, each.method)))
        if each.missing:
            lost[of, each.missing, report.missing[each.score]].append(each.score)
        if each.interval.undefined:
            undefined[of, each.interval.undefined].append(each.score)
    lines += [
        f"{of}: in {n} cases one side alone has it, which counts as {penalty:.1f} {unit} in "
        f"{', '.join(scores)}: the diagonal of the largest image"
        for (of, n, penalty), scores in lost.items()
    ]
    return lines + [
        f"{of}: {n} cases have no {', '.join(scores)} and are left out of the mean"
        for (of, n), scores in undefined.items()
    ]


def _cell(found: Summary | None) -> str:
    if found is None:
        return "-"
    factor = 100 if unit_of(found.score) == "share" else 1
    mean, low, high = (factor * value for value in found.interval[:3])
    return with_bounds(mean, low, high)
