"""What the values of a mask mean: from numbers in a file to class names."""

import json
import reprlib
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np

from episodes.catalog import IGNORE, MaskRef
from episodes.errors import DataError, shorten

MOST_VALUES = 254
"""More different values than this number objects, not classes (0 and 255 have other meanings)."""

MOST_GUESSED = 64
"""More unnamed values than this are objects, or a grey picture, and no classes."""

LEGEND_FILES = ("classes.json", "classes.yaml", "classes.yml")

Legend = Mapping[int, str | None] | str


def read_legend(folder: Path) -> Legend | None:
    """Read `classes.json` or `classes.yaml` of a folder; None when there is none.

    The file is a mapping `{value: name}`; the name null makes the value background. The single
    entry `{"instances": name}` says that every non-zero value is an object of that class. A list
    of names stands for the values 1, 2, ….

    Raises:
        DataError: the file is no such mapping.
    """
    path = next((folder / name for name in LEGEND_FILES if (folder / name).is_file()), None)
    if path is None:
        return None
    try:
        if path.stat().st_size > 2**20:
            raise DataError(f"{path} has {path.stat().st_size:,} bytes; expected a short list")
        text = path.read_text(encoding="utf-8")
        content = json.loads(text) if path.suffix == ".json" else _yaml(text)
        return parse_legend(content)
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"{path} cannot be used: {error}") from error


def parse_legend(content: object) -> Legend:
    """Turn `{"1": "liver"}`, `["liver"]` or `{"instances": "nucleus"}` into a legend.

    >>> parse_legend({"1": "liver", "4": None})
    {1: 'liver', 4: None}
    >>> parse_legend({"instances": "nucleus"})
    'nucleus'
    """
    expected = 'expected {"1": "liver", "2": "spleen"}, ["liver"] or {"instances": "nucleus"}'
    if isinstance(content, list):
        content = {i + 1: name for i, name in enumerate(content)}
    if not isinstance(content, Mapping) or not content:
        raise DataError(f"got {reprlib.repr(content)[:60]}; {expected}")
    if set(content) == {"instances"} and isinstance(content["instances"], str):
        return str(content["instances"])
    legend: dict[int, str | None] = {}
    for value, name in content.items():
        if not str(value).isdecimal() or not (name is None or (isinstance(name, str) and name)):
            raise DataError(f"got {reprlib.repr(value)}: {reprlib.repr(name)[:60]}; {expected}")
        if int(value) == 0:
            continue  # naming the background changes nothing
        legend[int(value)] = name
    if not any(legend.values()):
        raise DataError(f"no value has a name; {expected}")
    return legend


def guess_legend(values: Iterable[int], where: str) -> Legend:
    """Find out what values mean that nobody named.

    Values {0, 1} or {0, 255} are a binary mask of the class "foreground"; else each value from 1 to
    254 is a class that is called by its number, and 255 is unknown.

    Raises:
        DataError: a value is beyond 254, or there are too many to be classes.

    >>> guess_legend({0, 255}, "mask.png")
    'foreground'
    >>> guess_legend({0, 1, 2, 255}, "mask.png")
    {1: '1', 2: '2'}
    """
    found = sorted({int(value) for value in values} - {0})
    if found in ([1], [255], []):
        return "foreground"
    named = [value for value in found if value != IGNORE]
    if named == [1]:
        return {1: "foreground"}
    if named[-1] > MOST_VALUES or len(named) > MOST_GUESSED:
        raise DataError(
            f"{where}: the values {shorten(found)} have no names; expected 0 background, 1 to 254 "
            f"for at most {MOST_GUESSED} classes, 255 unknown. Name them with --classes 1=liver "
            '2=spleen or in classes.json beside the data ({"1": "liver"}); if they number objects, '
            'with --classes nucleus or {"instances": "nucleus"}'
        )
    return {value: str(value) for value in named}


def class_map(
    labels: np.ndarray, legend: Legend, classes: tuple[str, ...], where: str
) -> np.ndarray:
    """Translate the values of a mask into positions in `classes`.

    Args:
        labels: whole numbers [...].
        legend: what the numbers mean.
        classes: the classes asked for; pixels of other classes become background.
        where: the mask's name for messages.

    Returns:
        uint8 [...]: 0 background, 1..len(classes), 255 unknown.

    Raises:
        DataError: a value is neither 0, nor 255, nor in the legend.
    """
    if len(classes) > MOST_VALUES:
        raise DataError(f"{len(classes)} classes at once; at most {MOST_VALUES} fit in a label map")
    if isinstance(legend, str):
        position = classes.index(legend) + 1 if legend in classes else 0
        return np.where(labels != 0, np.uint8(position), np.uint8(0))
    values, inverse = _distinct(labels)
    unknown = [int(v) for v in values if v not in legend and v not in (0, IGNORE)]
    if unknown:
        named = ", ".join(f"{value} {name}" for value, name in legend.items())
        raise DataError(
            f"mask {where} holds {shorten(unknown)}, which nobody named; expected 0 background, "
            f"255 unknown or {named}. Add the value to classes.json (null makes it background)"
        )
    places = {name: place for place, name in enumerate(classes, start=1)}
    table = np.zeros(len(values), np.uint8)
    for i, value in enumerate(values.tolist()):
        if value == IGNORE and IGNORE not in legend:
            table[i] = IGNORE
        else:
            table[i] = places.get(legend.get(value) or "", 0)
    if inverse is not None:
        return table[inverse].reshape(labels.shape)
    wide = np.zeros(int(values[-1]) + 1, np.uint8)
    wide[values] = table
    return np.take(wide, labels)


def _distinct(labels: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
    """Find the distinct values, and where each is unless the values themselves can be places.

    Counting takes a tenth of the time of sorting, but a table as long as the largest value.
    """
    if labels.size and labels.dtype.kind in "iu" and labels.min() >= 0 and labels.max() < 2**16:
        counts = np.bincount(labels.ravel().astype(np.intp, copy=False))
        return np.flatnonzero(counts), None
    return np.unique(labels, return_inverse=True)


def legend_classes(legend: Legend | None) -> tuple[str, ...]:
    """Return the class names of a legend in the order of their values."""
    if legend is None:
        return ()
    if isinstance(legend, str):
        return (legend,)
    return tuple(dict.fromkeys(name for _, name in sorted(legend.items()) if name))


def named(mask: MaskRef) -> Legend:
    """Return the mask's legend, which must have been settled."""
    if mask.legend is None:
        raise DataError(
            f"mask {mask.pixels.path} has no legend yet; measure the catalog first "
            "(episodes.measure.measure)"
        )
    return mask.legend


def _yaml(text: str) -> object:
    import yaml

    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise DataError(f"no valid YAML: {error}") from error
