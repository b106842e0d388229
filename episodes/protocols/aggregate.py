"""The score of a protocol, from confusion counts; pure functions of the counts."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from episodes.errors import EpisodeError
from episodes.protocols.base import Unit

Key = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ConfusionCounts:
    """Confusion counts of one class over the queries of one case, without unknown pixels (255).

    Attributes:
        run: the repetition that the case belongs to.
        subject: whose image it is.
        class_name: the class tested.
        tp: true positives.
        fn: false negatives.
        fp: false positives.
        tn: true negatives.
        fold: which fold tested it; a scan that two folds test is two scans.
    """

    run: str
    subject: str
    class_name: str
    tp: int
    fn: int
    fp: int
    tn: int
    fold: int = 0


@dataclass(frozen=True)
class ProtocolScore:
    """What a protocol reports; overlaps lie in 0 to 1, NaN where nothing defines them.

    Attributes:
        value: the headline: mean over runs.
        by_run: one value a run, e.g. a support scan.
        by_class: one value a class, mean over runs.
        by_subject: one value a subject, for intervals; where each run tests each subject once (all
            but `adnet`, whose folds overlap, and `pascal5i`), their mean is the headline.
        undefined: (run, subject, class) or (run, class) without truth and prediction, left out.
        foreground_background: FB-IoU, mean over runs; only where the unit is the class.
    """

    value: float
    by_run: Mapping[str, float]
    by_class: Mapping[str, float]
    by_subject: Mapping[str, float]
    undefined: int
    foreground_background: float | None = None


def score_protocol(counts: Sequence[ConfusionCounts], unit: Unit) -> ProtocolScore:
    """Score of a protocol by its unit: `by_scan` for "subject", `by_class` for "class"."""
    return by_scan(counts) if unit == "subject" else by_class(counts)


def by_scan(counts: Iterable[ConfusionCounts]) -> ProtocolScore:
    """Dice of each scan and class, mean over scans, then over classes, then over runs.

    This is how SSL-ALPNet and its successors report: pixels of all slices of a scan are pooled.

    Raises:
        EpisodeError: no counts.

    >>> halves = [
    ...     ConfusionCounts("0", "a", "liver", 1, 1, 1, 9),
    ...     ConfusionCounts("0", "b", "liver", 2, 0, 0, 9),
    ... ]
    >>> by_scan(halves).value  # Dice 2 / (2 + 1 + 1) and 1
    0.75
    """
    pooled = _pool(counts, lambda c: (c.run, c.class_name, c.subject, str(c.fold)))
    dice = {key: _ratio(2 * tp, 2 * tp + fn + fp) for key, (tp, fn, fp, _) in pooled.items()}
    classes = _grouped_means(dice, lambda key: (key[0], key[1]))
    return _score(classes, _grouped_means(dice, lambda key: (key[2],)), dice.values())


def by_class(counts: Iterable[ConfusionCounts]) -> ProtocolScore:
    """IoU of each class over all its episodes, mean over classes, then over runs.

    mIoU of PANet, HSNet and PFENet: intersections and unions are summed before dividing.
    FB-IoU is the mean of the IoUs of foreground and background, over the episodes of all classes.
    `by_subject` pools the pixels of a subject over runs and classes; its mean is another number
    than mIoU, but its spread is that of the images.

    Raises:
        EpisodeError: no counts.

    >>> counts = [
    ...     ConfusionCounts("0", "a", "cat", 2, 1, 1, 6),
    ...     ConfusionCounts("0", "b", "cat", 4, 0, 0, 6),
    ... ]
    >>> by_class(counts).value  # 6 / (6 + 1 + 1)
    0.75
    """
    counts = list(counts)
    pooled = _pool(counts, lambda count: (count.run, count.class_name))
    iou = {key: _ratio(tp, tp + fn + fp) for key, (tp, fn, fp, _) in pooled.items()}
    subjects = {
        key: _ratio(tp, tp + fn + fp)
        for key, (tp, fn, fp, _) in _pool(counts, lambda count: (count.subject,)).items()
    }
    runs = _pool(counts, lambda count: (count.run,)).values()
    both = [_mean([_ratio(tp, tp + fn + fp), _ratio(tn, tn + fn + fp)]) for tp, fn, fp, tn in runs]
    return _score(iou, subjects, iou.values(), _mean(both))


def _score(
    classes: Mapping[Key, float],
    subjects: Mapping[Key, float],
    single: Iterable[float],
    both: float | None = None,
) -> ProtocolScore:
    by_run = _grouped_means(classes, lambda key: (key[0],))
    by_name = _grouped_means(classes, lambda key: (key[1],))
    return ProtocolScore(
        value=_mean(by_run.values()),
        by_run={key[0]: value for key, value in by_run.items()},
        by_class={key[0]: value for key, value in by_name.items()},
        by_subject={key[0]: value for key, value in subjects.items()},
        undefined=sum(1 for value in single if np.isnan(value)),
        foreground_background=both,
    )


def _pool(
    counts: Iterable[ConfusionCounts], key: Callable[[ConfusionCounts], Key]
) -> dict[Key, tuple[int, ...]]:
    pooled: dict[Key, np.ndarray] = defaultdict(lambda: np.zeros(4, np.int64))
    for count in counts:
        pooled[key(count)] += (count.tp, count.fn, count.fp, count.tn)
    if not pooled:
        raise EpisodeError("there is no case to score; expected at least one")
    return {name: tuple(numbers.tolist()) for name, numbers in pooled.items()}


def _grouped_means(values: Mapping[Key, float], key: Callable[[Key], Key]) -> dict[Key, float]:
    groups: dict[Key, list[float]] = defaultdict(list)
    for name, value in values.items():
        groups[key(name)].append(value)
    return {name: _mean(group) for name, group in groups.items()}


def _mean(values: Iterable[float]) -> float:
    """Mean of the defined values, NaN without any."""
    defined = [value for value in values if not np.isnan(value)]
    return float(np.mean(defined)) if defined else float("nan")


def _ratio(numerator: int, denominator: int) -> float:
    return numerator / denominator if denominator else float("nan")
