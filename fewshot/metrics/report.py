"""One report: the scores of every case, their means with intervals, as text, JSON and CSV."""

import json
import math
from collections import defaultdict
from collections.abc import Hashable, Iterable, Mapping
from os import PathLike
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from episodes.io.write import atomic_write, write_json
from fewshot.metrics.averages import penalise
from fewshot.metrics.bootstrap import Interval, bootstrap_mean, subject_means
from fewshot.metrics.tables import csv_table, text_table


class Row(NamedTuple):
    """One score of one case.

    Attributes:
        method: what made the prediction.
        case: which image or volume.
        subject: whose it is; the unit of the statistics.
        target: the class or organ scored, "" where there is just one.
        score: name of the score.
        value: NaN is undefined, inf is missing.
    """

    method: str
    case: str
    subject: str
    target: str
    score: str
    value: float


class Summary(NamedTuple):
    """The mean of one score.

    Attributes:
        method: what made the predictions.
        target: the class or organ.
        score: name of the score.
        interval: mean over subjects with its interval; inf without bounds where something was
            missing and no penalty was stated.
        missing: how many cases were infinite.
    """

    method: str
    target: str
    score: str
    interval: Interval
    missing: int


class Report:
    """The scores of every case, by method and target; it prints as a table of means.

    Args:
        missing: for a score the penalty that stands in for inf, such as ``{"hd95": 200.0}``.
        level: coverage of the intervals.
        resamples: of the bootstrap over subjects.
        seed: of the bootstrap.

    Attributes:
        rows: what was added, in order; plain tuples, so that processes can exchange them.

    Example:
        >>> report = Report(missing={"hd95": 50.0})
        >>> report.add("scan 1", "anna", {"dice": 0.75, "hd95": 4.0}, target="liver")
        >>> report.add("scan 2", "anna", {"dice": 0.25, "hd95": 6.0}, target="liver")
        >>> report.add("scan 3", "bert", {"dice": 0.0, "hd95": float("inf")}, target="liver")
        >>> print(report)
        target  score  mean  95 % interval  subjects  undefined  missing
        liver   dice   0.25  [0, 0.5]              2          0        0
        liver   hd95   27.5  [5, 50]               2          0        1
    """

    def __init__(
        self,
        missing: Mapping[str, float] | None = None,
        *,
        level: float = 0.95,
        resamples: int = 10_000,
        seed: int = 0,
    ) -> None:
        self.missing = dict(missing or {})
        self.level, self.resamples, self.seed = level, resamples, seed
        self._values: dict[tuple[str, str, str, str], Row] = {}

    @property
    def rows(self) -> list[Row]:
        """What was added, in order."""
        return list(self._values.values())

    def add(
        self,
        case: Hashable,
        subject: Hashable,
        scores: Mapping[str, float],
        *,
        target: str = "",
        method: str = "",
    ) -> None:
        """Add the scores of one case.

        Args:
            case: which image or volume; stored as text.
            subject: whose it is; stored as text.
            scores: a number for each name.
            target: the class or organ.
            method: what made the prediction.

        Raises:
            ValueError: this case already has another value for a score.
        """
        self.merge(
            Row(method, str(case), str(subject), target, score, float(value))
            for score, value in scores.items()
        )

    def merge(self, rows: Iterable[Iterable[Any]]) -> None:
        """Add the rows of another report, such as another process's.

        Args:
            rows: rows or tuples like them. A row that is here already is left out, as samplers
                that pad the last batch score some cases twice.

        Raises:
            ValueError: a case already has another value for a score.
        """
        for each in rows:
            row = Row(*each)
            key = (row.method, row.case, row.target, row.score)
            old = self._values.setdefault(key, row)
            same = old.value == row.value or (math.isnan(old.value) and math.isnan(row.value))
            if not same or old.subject != row.subject:
                raise ValueError(f"{row} contradicts {old}; give every case a name of its own")

    def values(
        self, score: str, *, target: str = "", method: str = ""
    ) -> tuple[NDArray[np.float64], list[str], list[str]]:
        """Return one score of all cases.

        Args:
            score: its name.
            target: the class or organ.
            method: what made the predictions.

        Returns:
            The values ``[case]`` with stated penalties in place of inf, the subjects and the cases.

        Raises:
            KeyError: there is no such row.
        """
        key = (method, target, score)
        rows = [row for row in self.rows if (row.method, row.target, row.score) == key]
        if not rows:
            known = sorted({(row.method, row.target, row.score) for row in self.rows})
            raise KeyError(f"no (method, target, score) {key}; there are {known}")
        values = np.array([row.value for row in rows])
        if score in self.missing:
            values = penalise(values, self.missing[score])
        return values, [row.subject for row in rows], [row.case for row in rows]

    def summary(self) -> list[Summary]:
        """Summarise every score of every target and method, in order of appearance.

        Returns:
            Means over subjects with bootstrap intervals.
        """
        keys = dict.fromkeys((row.method, row.target, row.score) for row in self.rows)
        return [self._summary(*key) for key in keys]

    def over_targets(self, name: str) -> list[Summary]:
        """Summarise the mean over targets: a subject's value is the mean over its targets.

        Args:
            name: what this mean is called.

        Returns:
            One summary a method and score; cases of the targets are counted together.
        """
        groups: dict[tuple[str, str], list[Summary]] = defaultdict(list)
        for each in self.summary():
            groups[each.method, each.score].append(each)
        return [self._over(name, *key, parts) for key, parts in groups.items()]

    def _over(self, name: str, method: str, score: str, parts: list[Summary]) -> Summary:
        of_subject: dict[str, list[float]] = defaultdict(list)
        for part in parts:
            values, subjects, _ = self.values(score, target=part.target, method=method)
            for subject in dict.fromkeys(subjects):
                own = [v for v, s in zip(values, subjects, strict=True) if s == subject and v == v]
                if own:
                    of_subject[subject].append(float(np.mean(own)))
        means = [float(np.mean(own)) for own in of_subject.values()]
        undefined = sum(part.interval.undefined for part in parts)
        interval = self._interval(np.array(means), list(of_subject))._replace(undefined=undefined)
        return Summary(method, name, score, interval, sum(part.missing for part in parts))

    def _interval(self, values: NDArray[np.float64], subjects: list[str]) -> Interval:
        """Mean over subjects; inf without bounds where something is missing and has no penalty."""
        if np.isinf(values).any():
            undefined = int(np.isnan(values).sum())
            count = len(subject_means(np.where(np.isinf(values), 0, values), subjects)[0])
            return Interval(math.inf, math.nan, math.nan, count, undefined)
        return bootstrap_mean(
            values, subjects, level=self.level, resamples=self.resamples, seed=self.seed
        )

    def _summary(self, method: str, target: str, score: str) -> Summary:
        values, subjects, _ = self.values(score, target=target, method=method)
        key = (method, target, score)
        lost = sum(
            math.isinf(row.value) for row in self.rows if (row.method, row.target, row.score) == key
        )
        return Summary(method, target, score, self._interval(values, subjects), lost)

    def __str__(self) -> str:
        head = ["method", "target", "score", "mean", f"{100 * self.level:g} % interval"]
        table = [[*head, "subjects", "undefined", "missing"]]
        for method, target, score, interval, missing in self.summary():
            bounds = f"[{interval.low:.4g}, {interval.high:.4g}]"
            numbers = [interval.subjects, interval.undefined, missing]
            line = [method, target, score, f"{interval.mean:.4g}", bounds, *map(str, numbers)]
            table.append(line)
        columns = list(zip(*table, strict=True))
        kept = [index for index, column in enumerate(columns) if index > 1 or any(column[1:])]
        columns_kept, *rows = ([line[index] for index in kept] for line in table)
        right = [place for place, index in enumerate(kept) if index > 4]
        return "\n".join(text_table(columns_kept, rows, right=right))

    def to_dict(self) -> dict[str, Any]:
        """Return settings, summary and cases as JSON values: NaN is None, inf is "inf".

        Returns:
            The keys ``settings``, ``summary`` and ``cases``.
        """
        settings = {"missing": self.missing, "level": self.level, "unit": "subject"}
        settings |= {"resamples": self.resamples, "seed": self.seed, "method": "bca"}
        summary = [
            {**each._asdict(), "interval": _plain(each.interval._asdict())}
            for each in self.summary()
        ]
        return {
            "settings": settings,
            "summary": summary,
            "cases": [_plain(row._asdict()) for row in self.rows],
        }

    def save_json(self, path: str | PathLike[str]) -> None:
        """Write settings, summary and cases to a file; what was there is replaced."""
        write_json(Path(path), self.to_dict())

    def save(self, folder: Path, metadata: Mapping[str, Any], table: Iterable[str]) -> None:
        """Write scores.json, cases.csv and scores.md into a folder.

        Args:
            folder: there already.
            metadata: further content of scores.json.
            table: lines of scores.md.
        """
        write_json(folder / "scores.json", {**metadata, **self.to_dict()})
        self.save_csv(folder / "cases.csv")
        with atomic_write(folder / "scores.md") as partial:
            partial.write_text("\n".join(table), encoding="utf-8")

    def save_csv(self, path: str | PathLike[str]) -> None:
        """Write one line a score and case, replacing the file; NaN is "nan", inf is "inf"."""
        rows = ({**row._asdict(), "value": repr(row.value)} for row in self.rows)
        with atomic_write(Path(path)) as partial, partial.open("w", newline="") as file:
            file.write(csv_table(Row._fields, rows, end="\r\n"))


def load_report(path: str | PathLike[str]) -> Report:
    """Read what ``Report.save_json`` wrote.

    Args:
        path: the file.

    Returns:
        A report with the same rows and settings, so with the same summary.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> report = Report()
        >>> report.add("scan 1", "anna", {"dice": 0.75})
        >>> with TemporaryDirectory() as folder:
        ...     report.save_json(Path(folder) / "report.json")
        ...     load_report(Path(folder) / "report.json").rows == report.rows
        True
    """
    data = json.loads(Path(path).read_text(encoding="utf-8"))
    settings = {key: data["settings"][key] for key in ("missing", "level", "resamples", "seed")}
    report = Report(**settings)
    for case in data["cases"]:
        value = math.nan if case["value"] is None else float(case["value"])
        report.merge([Row(**{**case, "value": value})])
    return report


def _plain(values: dict[str, Any]) -> dict[str, Any]:
    def name(value: Any) -> Any:
        if not isinstance(value, float) or math.isfinite(value):
            return value
        return None if math.isnan(value) else str(value)

    return {key: name(value) for key, value in values.items()}
