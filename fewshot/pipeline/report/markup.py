"""HTML as text: everything that comes from files is escaped here, and nowhere else written."""

import html
import math
from collections.abc import Iterable, Sequence
from typing import Any

_SUPERSCRIPT = {"2": "²", "3": "³"}


def escape(value: object) -> str:
    """Write any text so that it is shown as it is; what no page can hold becomes a sign for it.

    >>> escape("<b>")
    '&lt;b&gt;'
    """
    text = str(value).encode("utf-8", "replace").decode("utf-8")
    return html.escape("".join(c if c.isprintable() or c == "\n" else "\ufffd" for c in text))


def number(value: Any) -> str:
    """Write a number with four digits that count, and what is not known as a dash.

    >>> number(1234567.8), number(0.123456), number(12), number(12.0)
    ('1,234,568', '0.1235', '12', '12')
    """
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return "\u2013"
    if isinstance(value, bool | int):
        return f"{int(value):,}"
    if not isinstance(value, float):
        return str(value)
    if value.is_integer() and abs(value) < 1e12:
        return f"{int(value):,}"
    if not 1e-4 <= abs(value) < 1e12:
        return f"{value:.3e}"
    digits = max(0, 3 - math.floor(math.log10(abs(value))))
    return f"{value:,.{min(digits, 7)}f}"


def unit(name: str) -> str:
    """Write a unit as it is printed.

    >>> unit("um2"), unit("px")
    ('µm²', 'px')
    """
    power = _SUPERSCRIPT.get(name[-1:], "")
    plain = name[:-1] if power else name
    return plain.replace("um", "µm") + power


def table(caption: str, heads: Sequence[str], rows: Iterable[Sequence[Any]], words: int = 1) -> str:
    """Draw a table that scrolls sideways where the page is narrow.

    Args:
        caption: what it shows.
        heads: of the columns, with units.
        rows: a value a column; numbers are formatted.
        words: how many columns from the left hold words; the first is the head of its row.
    """
    head = "".join(
        f'<th scope="col"{"" if n < words else _NUMERIC}>{escape(text)}</th>'
        for n, text in enumerate(heads)
    )
    body = "".join(f"<tr>{_cells(row, words)}</tr>" for row in rows)
    return (
        f'<div class="scroll" tabindex="0" role="region" aria-label="{escape(caption)}"><table>'
        f"<caption>{escape(caption)}</caption><thead><tr>{head}</tr></thead>"
        f"<tbody>{body}</tbody></table></div>"
    )


_NUMERIC = ' class="number"'


def _cells(row: Sequence[Any], words: int) -> str:
    cells = [f'<th scope="row">{escape(row[0])}</th>']
    for place, value in enumerate(row[1:], 1):
        kind = "" if place < words else _NUMERIC
        text = value if isinstance(value, str) else number(value)
        cells.append(f"<td{kind}>{escape(text)}</td>")
    return "".join(cells)


def section(title: str, *parts: str, name: str = "") -> str:
    """Put parts under a heading; without parts there is no section."""
    inside = "".join(part for part in parts if part)
    label = f' class="{name}"' if name else ""
    return f"<section{label}><h2>{escape(title)}</h2>{inside}</section>" if inside else ""
