"""How numbers and tables are written: the one place for terminal text, Markdown and CSV.

Shares are kept from 0 to 1 or, in result files, from 0 to 100, and never rounded; whoever shows one
rounds it once, here.
"""

import csv
import io
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any


def percent(value: float | None) -> float | None:
    """Bring a share to 0..100; NaN, which JSON lacks, becomes None.

    >>> percent(0.25), percent(math.nan)
    (25.0, None)
    """
    return None if value is None or math.isnan(value) else 100 * value


def shown(value: float | None, missing: str = "undefined") -> str:
    """Write a number with one decimal; None and NaN are `missing`.

    >>> shown(83.64), shown(None), shown(math.inf)
    ('83.6', 'undefined', 'inf')
    """
    return missing if value is None or math.isnan(value) else f"{value:.1f}"


def with_bounds(
    value: float | None,
    low: float | None,
    high: float | None,
    *,
    alone: str = "",
    missing: str = "undefined",
) -> str:
    """Write a mean with the bounds of its interval, one decimal each.

    Args:
        value: the mean; None or NaN is undefined.
        low, high: None or NaN where there is no interval, as of one subject.
        alone: what is written after a mean without an interval.
        missing: what is written where there is no mean.

    >>> with_bounds(83.64, 80.0, 85.1), with_bounds(83.64, None, None, alone="(one subject)")
    ('83.6 [80.0, 85.1]', '83.6 (one subject)')
    """
    mean = shown(value, missing)
    if low is None or high is None or math.isnan(low) or math.isnan(high):
        return mean if mean == missing else f"{mean} {alone}".rstrip()
    return f"{mean} [{shown(low)}, {shown(high)}]"


def cell(interval: Mapping[str, Any]) -> str:
    """Write an interval of shares, with the keys mean, low and high, from 0 to 100.

    >>> cell({"mean": 0.8364, "low": 0.8, "high": 0.851})
    '83.6 [80.0, 85.1]'
    """
    mean, low, high = (percent(interval[key]) for key in ("mean", "low", "high"))
    return with_bounds(mean, low, high, alone="(one subject)")


def with_interval(value: float | None, interval: Sequence[float | None]) -> str:
    """Write a value and its interval with two decimals at most.

    >>> with_interval(95.754, [94.5, 96.75])
    '95.75 [94.5, 96.75]'
    >>> with_interval(0.4567, [None, None])
    '0.46'
    """
    if value is None:
        return "undefined"
    low, high = (None if each is None else round(each, 2) for each in interval)
    return f"{round(value, 2)}" if low is None else f"{round(value, 2)} [{low}, {high}]"


def text_table(
    columns: Sequence[str], rows: Iterable[Sequence[str]], *, right: Iterable[int] = ()
) -> list[str]:
    """Format a table for a terminal, each column as wide as its longest cell.

    Args:
        columns: the heads.
        rows: cells as text.
        right: the columns that are aligned to the right.

    >>> text_table(["class", "Dice"], [["liver", "9.0"], ["spleen", "10.0"]], right=[1])
    ['class   Dice', 'liver    9.0', 'spleen  10.0']
    """
    lines = [list(columns), *map(list, rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    to_right = set(right)
    return [
        "  ".join(
            cell.rjust(width) if number in to_right else cell.ljust(width)
            for number, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    ]


def markdown_table(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> list[str]:
    """Write a Markdown table; None is a dash.

    >>> markdown_table(["class", "Dice"], [["liver", None]])
    ['| class | Dice |', '| --- | --- |', '| liver | - |']
    """
    lines = [list(columns), ["---"] * len(columns), *rows]
    return [
        "| " + " | ".join("-" if each is None else str(each) for each in line) + " |"
        for line in lines
    ]


def csv_table(columns: Sequence[str], rows: Iterable[Mapping[str, Any]], end: str = "\n") -> str:
    r"""Write rows as comma-separated values; what a row lacks is empty, what it has more left out.

    >>> csv_table(["class", "dice"], [{"class": "liver, left", "dice": 0.5, "hash": 1}])
    'class,dice\n"liver, left",0.5\n'
    """
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, restval="", lineterminator=end, extrasaction="ignore")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()
