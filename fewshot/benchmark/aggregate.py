"""From cells to rows: mean over runs and folds, interval over subjects, paired differences."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import mean, median
from typing import Any

import numpy as np

from episodes.protocols.aggregate import ConfusionCounts
from episodes.protocols.base import Protocol
from fewshot.benchmark.cells import Cell, Setting
from fewshot.benchmark.leakage import Leakage
from fewshot.benchmark.methods import COPY_MASK, FEATURE_GRID
from fewshot.benchmark.training import Trained
from fewshot.evaluation.confusion_counts import pool_by_subject
from fewshot.evaluation.protocol_results import ProtocolResult
from fewshot.metrics.comparison import compare_methods
from fewshot.metrics.tables import percent

Row = dict[str, Any]
Place = tuple[str, str, str]
"""Protocol, training exclusion and support: rows of one place are compared with each other."""


@dataclass(frozen=True)
class Found:
    """What was computed.

    Attributes:
        methods: in the order of the table; copy-mask and the ceiling among them.
        settings: what was tested, and the protocol and leakage of each.
        cells: all of them.
        trained: by the name of the model's folder.
    """

    methods: tuple[str, ...]
    settings: Mapping[Setting, tuple[Protocol, Leakage]]
    cells: Sequence[Cell]
    trained: Mapping[str, Trained]

    def places(self) -> list[Place]:
        """List what the rows are grouped by."""
        return list(dict.fromkeys(map(_place, self.settings)))

    def rows(self) -> list[Row]:
        """One row a method in every place."""
        return [row for place in self.places() for row in self._rows(place)]

    def seconds(self) -> float:
        """Time of all parts, whenever they were computed."""
        models = {cell.model for cell in self.cells if cell.model}
        return sum(cell.seconds + cell.choosing_seconds for cell in self.cells) + sum(
            self.trained[name].seconds for name in models
        )

    def _rows(self, place: Place) -> list[Row]:
        laid = tuple(p for setting, (p, _) in self.settings.items() if _place(setting) == place)
        cells = {name: self._cells(name, place) for name in self.methods}
        scored = {
            name: ProtocolResult(place[0], name, laid, _counts(parts))
            for name, parts in cells.items()
        }
        apart = differences({n: s for n, s in scored.items() if n != FEATURE_GRID})
        return [
            {
                "method": name,
                "protocol": place[0],
                "training_exclusion": place[1],
                "support": place[2],
                **_without(one.content(), ("method", "protocol")),
                **apart.get(name, {"minus_copy_mask": None, "minus_first": None}),
                **self._costs(cells[name]),
                "chosen": _chosen(cells[name]),
            }
            for name, one in scored.items()
        ]

    def _cells(self, method: str, place: Place) -> list[Cell]:
        return [c for c in self.cells if c.method == method and _place(c.setting) == place]

    def _costs(self, cells: Sequence[Cell]) -> Row:
        models = [self.trained[name] for name in dict.fromkeys(c.model for c in cells) if name]
        times = [cell.milliseconds for cell in cells if cell.milliseconds is not None]
        peaks = [part.peak_mib for part in cells] + [model.peak_mib for model in models]
        known = [peak for peak in peaks if peak is not None]
        return {
            "models": [Path(model.folder).name for model in models],
            "training_seconds": mean(m.seconds for m in models) if models else 0.0,
            "training_steps": [model.steps for model in models],
            "inference_ms": median(times) if times else None,
            "peak_mib": max(known) if known else None,
        }


def differences(scored: Mapping[str, ProtocolResult]) -> dict[str, Row]:
    """Compare every method with copy-mask and with the first one, paired over subjects.

    Returns:
        By method, `minus_copy_mask` and `minus_first`: mean and interval in percent, the p-value
        of the paired permutation test, and that value after Holm's correction for all methods
        compared; None for a method and itself.
    """
    values = {name: one.score.by_subject for name, one in scored.items()}
    subjects = list(dict.fromkeys(subject for by in values.values() for subject in by))
    scores = {n: [by.get(s, np.nan) for s in subjects] for n, by in values.items()}
    first = next((name for name in scored if name != COPY_MASK), COPY_MASK)
    rows: dict[str, Row] = {n: {"minus_copy_mask": None, "minus_first": None} for n in scored}
    for key, baseline in (("minus_copy_mask", COPY_MASK), ("minus_first", first)):
        for each in compare_methods(scores, subjects, baseline=baseline):
            rows[each.first][key] = {
                "against": baseline,
                "mean": percent(each.difference.mean),
                "ci95": [percent(each.difference.low), percent(each.difference.high)],
                "p_value": _defined(each.p_value),
                "p_adjusted": _defined(each.adjusted),
            }
    return rows


def _chosen(cells: Iterable[Cell]) -> list[Row]:
    """What each model chose on its training scans; empty where nothing was to be chosen."""
    return [
        {
            "fold": cell.setting.fold,
            "group": cell.setting.group,
            "seed": cell.seed,
            "settings": cell.chosen,
            "seconds": cell.choosing_seconds,
        }
        for cell in cells
        if cell.chosen is not None
    ]


def _counts(cells: Iterable[Cell]) -> tuple[ConfusionCounts, ...]:
    """Join cells; with several seeds each is a run of its own."""
    cells = list(cells)
    several = len({cell.seed for cell in cells}) > 1
    return tuple(
        pool_by_subject(
            replace(count, run=f"{count.run} seed {cell.seed}") if several else count
            for cell in cells
            for count in cell.counts
        )
    )


def _place(setting: Setting) -> Place:
    return setting.protocol, setting.training_exclusion, setting.support


def _defined(value: float) -> float | None:
    return None if np.isnan(value) else round(value, 5)


def _without(content: Row, names: Sequence[str]) -> Row:
    return {name: value for name, value in content.items() if name not in names}
