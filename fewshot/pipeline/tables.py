"""The tables of a run: the rows of all images as CSV, written line by line."""

import csv
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from episodes.errors import DataError, cause
from episodes.io.write import atomic_write
from fewshot.archive.queries import results_of

Row = Mapping[str, Any]


def rows_of(out: Path, result: Row, table: str) -> list[dict[str, Any]]:
    """Read the rows of a table out of the JSON file of one image.

    Args:
        out: folder of the run.
        result: the image's row of the run, which names its mask.
        table: name of an analyse step.

    Raises:
        DataError: the file is damaged.
    """
    path = out / results_of(Path(result["mask"]))[2]
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        return [dict(row) for row in content["tables"][table]]
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise DataError(
            f"{path} cannot be used ({cause(error)}); remove it, and run the pipeline again"
        ) from error


def all_rows(out: Path, results: Sequence[Row], table: str) -> Iterator[dict[str, Any]]:
    """Read the rows of a table of all images, one image after another."""
    for result in results:
        yield from rows_of(out, result, table)


def write_table(path: Path, out: Path, results: Sequence[Row], table: str) -> Path:
    """Write a table of all images; images of grey and of colour share one head.

    Numbers are written so that they are read again exactly; what is not known is left empty.
    """
    columns = dict.fromkeys(key for row in all_rows(out, results, table) for key in row)
    with atomic_write(path) as partial, partial.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(columns), lineterminator="\n")
        writer.writeheader()
        writer.writerows(
            {key: _cell(value) for key, value in row.items()}
            for row in all_rows(out, results, table)
        )
    return path


def _cell(value: Any) -> Any:
    """Keep a spreadsheet from taking a name for a formula."""
    if isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t", "\r"):
        return "'" + value
    return value
