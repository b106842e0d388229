"""What the values of a mask mean: from numbers in a file to class names."""

import json
import re
import reprlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from episodes.errors import DataError, shorten
from episodes.io.mask_colours import COLOUR, colour_value, value_name
from episodes.io.pixels import IGNORE, MaskRef

MAX_VALUES = 254
"""More classes than this do not fit in a label image of bytes, beside 0 and 255."""

UNKNOWN, BACKGROUND = "unknown", "background"
"""Reserved names: pixels that count nowhere, and pixels of no class."""

LABEL_MAP_FILES = ("classes.json", "classes.yaml", "classes.yml")

LabelMap = Mapping[int, str | None] | str


def read_label_map(folder: Path) -> LabelMap | None:
    """Read `classes.json` or `classes.yaml` of a folder; None when there is none.

    The file is a mapping `{value: name}`; see `parse_label_map`.

    Raises:
        DataError: the file is no such mapping.
    """
    path = next((folder / name for name in LABEL_MAP_FILES if (folder / name).is_file()), None)
    if path is None:
        return None
    try:
        if path.stat().st_size > 2**20:
            raise DataError(f"{path} has {path.stat().st_size:,} bytes; expected a short list")
        text = path.read_text(encoding="utf-8")
        content = json.loads(text) if path.suffix == ".json" else _yaml(text)
        return parse_label_map(content)
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"{path} cannot be used: {error}") from error


def parse_label_map(content: object) -> LabelMap:
    """Turn `{"1": "liver"}`, `["liver"]` or `{"instances": "nucleus"}` into a label map.

    A value is a number, a range of numbers such as "128-255", or a colour such as "red" or
    "#ff0000". The names null and "background" make it background, "unknown" leaves its pixels out
    of everything. Value 0 is background, unless another value is background by name. A list of
    names stands for the values 1, 2, …. Where a label map names
    unknown values alone, the meaning of the others follows from the masks.

    >>> parse_label_map({"1": "liver", "4": None, "255": "unknown"})
    {1: 'liver', 4: None, 255: 'unknown'}
    >>> parse_label_map({"0": "cell", "255": "background"})
    {255: None, 0: 'cell'}
    >>> parse_label_map({"instances": "nucleus"})
    'nucleus'
    """
    expected = 'expected {"1": "liver", "2": "spleen"}, ["liver"] or {"instances": "nucleus"}'
    if isinstance(content, list):
        if content and str(content[0]).lower() == BACKGROUND:
            raise DataError(
                f"the list begins with {content[0]!r}, but its names stand for the values 1, 2, …; "
                'leave the background out, or write {"0": "background", "1": "liver"}'
            )
        content = {i + 1: name for i, name in enumerate(content)}
    if not isinstance(content, Mapping) or not content:
        raise DataError(f"got {reprlib.repr(content)[:60]}; {expected}")
    if set(content) == {"instances"} and isinstance(content["instances"], str):
        return _one_name(content["instances"])
    label_map: dict[int, str | None] = {}
    zero: str | None = None
    for key, name in content.items():
        values = _values_of(key)
        if not values or not (name is None or (isinstance(name, str) and name)):
            raise DataError(f"got {reprlib.repr(key)}: {reprlib.repr(name)[:60]}; {expected}")
        meaning = None if name is None or name.lower() == BACKGROUND else name
        meaning = UNKNOWN if meaning and meaning.lower() == UNKNOWN else meaning
        zero = meaning if 0 in values else zero
        twice = [value for value in values if value in label_map and label_map[value] != meaning]
        if twice:
            raise DataError(f"value {twice[0]} has two names, {label_map[twice[0]]} and {name}")
        label_map |= {value: meaning for value in values if value}
    if zero and None in label_map.values():
        label_map[0] = zero
    if not any(label_map.values()):
        raise DataError(f"no value has a name; {expected}")
    return label_map


def _values_of(key: object) -> list[int]:
    """The values that a key of a label map stands for; none where it is no such key.

    >>> _values_of("3"), _values_of("7-9"), _values_of("white")
    ([3], [7, 8, 9], [255])
    """
    text = str(key).strip().lower()
    if text.isdecimal():
        return [int(text)]
    if match := re.fullmatch(r"(\d{1,5})-(\d{1,5})", text):
        return list(range(int(match[1]), int(match[2]) + 1))
    value = colour_value(text) if isinstance(key, str) else None
    if value is None:
        return []
    return [0, COLOUR] if value == 0 else [value]  # black on a transparent ground is not 0


def _one_name(name: str) -> str:
    if not name or name.lower() in (UNKNOWN, BACKGROUND):
        raise DataError(f"the class of all values is called {name!r}; expected a class")
    return name


def class_map(
    labels: np.ndarray, label_map: LabelMap, classes: tuple[str, ...], mask_name: str
) -> np.ndarray:
    """Translate the values of a mask into positions in `classes`.

    Args:
        labels: whole numbers [...].
        label_map: meaning of the numbers.
        classes: the requested classes; pixels of other classes become background.
        mask_name: the mask's name for messages.

    Returns:
        uint8 [...]: 0 background, 1..len(classes), 255 unknown.

    Raises:
        DataError: a value is neither 0 nor in the label map.
    """
    if len(classes) > MAX_VALUES:
        raise DataError(
            f"{len(classes)} classes at once; at most {MAX_VALUES} fit in a label image"
        )
    if isinstance(label_map, str):
        position = classes.index(label_map) + 1 if label_map in classes else 0
        return np.where(labels != 0, np.uint8(position), np.uint8(0))
    values, inverse = _distinct(labels)
    check_named(values.tolist(), label_map, mask_name)
    places: dict[str | None, int] = {name: place for place, name in enumerate(classes, start=1)}
    places |= {None: 0, UNKNOWN: IGNORE}
    table = np.array([places.get(label_map.get(value), 0) for value in values.tolist()], np.uint8)
    if inverse is not None:
        return table[inverse].reshape(labels.shape)
    wide = np.zeros(int(values[-1]) + 1, np.uint8)
    wide[values] = table
    return np.take(wide, labels)


def check_named(values: Iterable[int], label_map: Mapping[int, str | None], mask_name: str) -> None:
    """Raise where a mask holds a value that is neither 0 nor in the label map."""
    unnamed = [int(value) for value in values if value and value not in label_map]
    if not unnamed:
        return
    named = shorten(
        f"{value_name(value)} {name or BACKGROUND}" for value, name in label_map.items()
    )
    raise DataError(
        f"mask {mask_name} holds {shorten(map(value_name, unnamed))}, which nobody named; expected "
        f"0 background or {named}. {advice(unnamed)}"
    )


def advice(unnamed: Sequence[int]) -> str:
    """Advice on naming values, or ignoring them."""
    if len(unnamed) > 8 and max(unnamed) < COLOUR:
        low, high = min(unnamed), max(unnamed)
        middle = max(low + 1, (high + 1) // 2)
        return (
            f"Are these shades of two levels? --classes 1-{middle - 1}=background "
            f"{middle}-{high}=NAME cuts them; or save the mask without loss (PNG, not JPEG) and "
            "without smoothing"
        )
    value = value_name(unnamed[-1])
    return (
        f"Add it: {value}=NAME, {value}=background or {value}=unknown to --classes, or "
        f'"{value}": "NAME", null or "unknown" to classes.json'
    )


def _distinct(labels: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
    """Find the distinct values, and where each is unless the values themselves can be places.

    Counting takes a tenth of the time of sorting, but a table as long as the largest value.
    """
    if labels.size and labels.dtype.kind in "iu" and labels.min() >= 0 and labels.max() < 2**16:
        counts = np.bincount(labels.ravel().astype(np.intp, copy=False))
        return np.flatnonzero(counts), None
    return np.unique(labels, return_inverse=True)


def label_map_classes(label_map: LabelMap | None) -> tuple[str, ...]:
    """Return the class names of a label map in the order of their values."""
    if label_map is None:
        return ()
    if isinstance(label_map, str):
        return (label_map,)
    return tuple(dict.fromkeys(n for _, n in sorted(label_map.items()) if n and n != UNKNOWN))


def is_partial(label_map: LabelMap | None) -> bool:
    """Whether a label map names unknown values alone, and leaves the others to the masks."""
    return isinstance(label_map, Mapping) and set(label_map.values()) == {UNKNOWN}


def named(mask: MaskRef) -> LabelMap:
    """Return the mask's label map; raise where it has none yet."""
    if mask.label_map is None:
        raise DataError(
            f"mask {mask.pixels.path} has no label map yet; call "
            "(episodes.catalog.class_areas.compute_class_areas)"
        )
    return mask.label_map


def _yaml(text: str) -> object:
    import yaml

    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise DataError(f"no valid YAML: {error}") from error
