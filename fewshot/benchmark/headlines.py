"""Which numbers of the table have a name.

NAME=method:protocol:exclusion[:support[/RUN]] is an overlap, of all runs or, as in all/0, of the
one whose support comes at that place; NAME=minutes:method:protocol:exclusion[:support] is the
training time of a fold.
"""

import difflib
from collections.abc import Sequence
from dataclasses import dataclass

from episodes.errors import DataError
from episodes.protocols.aggregate import by_scan
from fewshot.benchmark.aggregate import Place, Row
from fewshot.benchmark.methods import COPY_MASK
from fewshot.evaluation.protocol_results import read_count
from fewshot.metrics.bootstrap import bootstrap_mean
from fewshot.metrics.tables import percent
from fewshot.registry import BASELINES, PREDICTORS

BEST = "best"
"""Stands for the method, copy-mask and the ceiling aside, with the highest mean in the table."""
_MINUTES = "minutes"
_FORM = (
    "NAME=method:protocol:exclusion, NAME=method:protocol:exclusion:support, all/0 being one "
    "support of all, or NAME=minutes:method:protocol:exclusion:support"
)


@dataclass(frozen=True)
class Headline:
    """A name for a number.

    Attributes:
        name: as it stands in result files.
        method: of the table, or "best".
        place: protocol, training exclusion and support.
        run: the place of one support, of all; "" for the mean over runs.
        minutes: whether it is the training time instead of the overlap.
    """

    name: str
    method: str
    place: Place
    run: str = ""
    minutes: bool = False

    def entry(self, rows: Sequence[Row]) -> Row:
        """Find the number, with its interval and copy-mask's beside it."""
        here = {row["method"]: row for row in rows if place_of(row) == self.place}
        row = best(list(here.values())) if self.method == BEST else here[self.method]
        mean, interval, baseline = row["mean"], row["ci95"], here[COPY_MASK]["mean"]
        if self.run:
            mean, interval = one_run(row, self.run)
            baseline, _ = one_run(here[COPY_MASK], self.run)
        if self.minutes:
            mean, interval, baseline = row["training_seconds"] / 60, [None, None], None
        of = (row["method"], *self.place[:2], "/".join(filter(None, (self.place[2], self.run))))
        return {
            "name": self.name,
            "value": mean,
            "ci95": interval,
            "baseline": baseline,
            "unit": "minutes of training a fold" if self.minutes else row["unit"],
            "of": ":".join(of),
        }


def one_run(row: Row, place: str) -> tuple[float | None, list[float | None]]:
    """Mean and interval of the run of one support.

    Args:
        row: with its cases.
        place: of the support.

    Raises:
        DataError: there is no such run.
    """
    name = f"support {place}"
    counts = [count for count in map(read_count, row["cases"]) if count.run == name]
    if not counts:
        raise DataError(f"there is no run {name!r}; expected one of {', '.join(row['by_run'])}")
    found = by_scan(counts)
    subjects = found.by_subject
    interval = bootstrap_mean(list(subjects.values()), list(subjects))
    return percent(found.value), [percent(interval.low), percent(interval.high)]


def read_headlines(
    words: Sequence[str], methods: Sequence[str], places: Sequence[Place]
) -> list[Headline]:
    """Read `--headline`; without any, the best method of each place gets one.

    Raises:
        DataError: a word is not of the form, names what the benchmark does not hold, or leaves
            open which support it means.
    """
    if not words:
        return [
            Headline("_".join(("benchmark", *place)).replace("-", "_"), BEST, place)
            for place in places
        ]
    return [_read(word, methods, places) for word in words]


def best(rows: Sequence[Row]) -> Row:
    """Return the row with the highest mean; copy-mask where there is nothing else."""
    baselines = (*BASELINES.names(), *PREDICTORS.names_in("fewshot.baselines"))
    own = [row for row in rows if row["method"] not in baselines]
    copied = [row for row in rows if row["method"] == COPY_MASK]
    return max(own or copied, key=lambda row: -1.0 if row["mean"] is None else row["mean"])


def place_of(row: Row) -> Place:
    """Protocol, training exclusion and support of a row."""
    return row["protocol"], row["training_exclusion"], row["support"]


def _read(word: str, methods: Sequence[str], places: Sequence[Place]) -> Headline:
    name, mark, what = word.partition("=")
    parts = what.split(":")
    minutes = parts[0] == _MINUTES
    parts = parts[minutes:]
    if not name or not mark or len(parts) not in (3, 4):
        raise DataError(f"headline is {word!r}; expected {_FORM}")
    run = ""
    if len(parts) == 4:
        parts[3], _, run = parts[3].partition("/")
    if run and (parts[3] != "all" or minutes):
        raise DataError(
            f"headline {word!r} names one run; that has a meaning of all supports alone"
        )
    _one_of(word, "method", parts[0], [BEST, *methods])
    for number, kind in enumerate(("protocol", "training exclusion", "support")[: len(parts) - 1]):
        _one_of(word, kind, parts[number + 1], list(dict.fromkeys(p[number] for p in places)))
    found = [place for place in places if list(place[: len(parts) - 1]) == parts[1:]]
    if len(found) > 1:
        ways = ", ".join(place[2] for place in found)
        raise DataError(f"headline {word!r} fits the supports {ways}; add one of them as :SUPPORT")
    return Headline(name, parts[0], found[0], run, minutes)


def _one_of(word: str, kind: str, value: str, known: Sequence[str]) -> None:
    if value not in known:
        near = difflib.get_close_matches(value, known, n=1, cutoff=0.3)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise DataError(
            f"headline {word!r} names the {kind} {value!r}, which this benchmark does not hold: "
            f"it has {', '.join(known)}{hint}"
        )
