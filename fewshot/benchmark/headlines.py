"""Which numbers of the table have a name: NAME=method:protocol:exclude[:support]."""

import difflib
from collections.abc import Sequence
from dataclasses import dataclass

from episodes.errors import DataError
from fewshot.benchmark.methods import BASELINES, COPY_MASK
from fewshot.benchmark.table import Place, Row

BEST = "best"
"""Stands for the method, copy-mask and the ceiling aside, with the highest mean in the table."""


@dataclass(frozen=True)
class Headline:
    """A name for a number.

    Attributes:
        name: as it stands in result files.
        method: of the table, or "best".
        place: protocol, exclude and support.
    """

    name: str
    method: str
    place: Place

    def entry(self, rows: Sequence[Row]) -> Row:
        """Find the number, with its interval and copy-mask's beside it."""
        here = {row["method"]: row for row in rows if place_of(row) == self.place}
        row = best(list(here.values())) if self.method == BEST else here[self.method]
        return {
            "name": self.name,
            "value": row["mean"],
            "ci95": row["ci95"],
            "baseline": here[COPY_MASK]["mean"],
            "unit": row["unit"],
            "of": ":".join((row["method"], *self.place)),
        }


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
    own = [row for row in rows if row["method"] not in BASELINES]
    copied = [row for row in rows if row["method"] == COPY_MASK]
    return max(own or copied, key=lambda row: -1.0 if row["mean"] is None else row["mean"])


def place_of(row: Row) -> Place:
    """Protocol, exclude and support of a row."""
    return row["protocol"], row["exclude"], row["support"]


def _read(word: str, methods: Sequence[str], places: Sequence[Place]) -> Headline:
    name, mark, what = word.partition("=")
    parts = what.split(":")
    if not name or not mark or len(parts) not in (3, 4):
        raise DataError(
            f"headline is {word!r}; expected NAME=method:protocol:exclude or "
            "NAME=method:protocol:exclude:support"
        )
    _one_of(word, "method", parts[0], [BEST, *methods])
    for number, kind in enumerate(("protocol", "exclude", "support")[: len(parts) - 1]):
        _one_of(word, kind, parts[number + 1], list(dict.fromkeys(p[number] for p in places)))
    found = [place for place in places if list(place[: len(parts) - 1]) == parts[1:]]
    if len(found) > 1:
        ways = ", ".join(place[2] for place in found)
        raise DataError(f"headline {word!r} fits the supports {ways}; add one of them as :SUPPORT")
    return Headline(name, parts[0], found[0])


def _one_of(word: str, kind: str, value: str, known: Sequence[str]) -> None:
    if value not in known:
        near = difflib.get_close_matches(value, known, n=1, cutoff=0.3)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise DataError(
            f"headline {word!r} names the {kind} {value!r}, which this benchmark does not hold: "
            f"it has {', '.join(known)}{hint}"
        )
