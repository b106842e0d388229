"""The meaning of unnamed mask values: inferred from all masks together, or refused.

Clear cases are read as a person would read them: 0 and one other value are a binary mask, small
numbers are classes, flat colours are classes. Whatever two people might read differently is
refused, with the names that would decide it.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from episodes.errors import DataError, shorten
from episodes.io.mask_colours import COLOUR, value_name
from episodes.masks.area_cache import MaskCounts
from episodes.masks.label_map import UNKNOWN, LabelMap, is_partial, label_map_classes
from episodes.masks.numbered_objects import are_numbered

MAX_GUESSED = 64
"""More unnamed values than this are objects, or a grey picture, and no classes."""

WHITE = (255, 65535)
"""What black and white masks hold, in 8 and in 16 bits."""

_MAX_CLASS = 254


@dataclass(frozen=True)
class Evidence:
    """One mask file and what is known of it.

    Attributes:
        name: for messages.
        counts: of its values.
        label_map: meaning of its values; None where they have no names.
        read: reads its numbers [depth height width]; called where counts do not decide.
    """

    name: str
    counts: MaskCounts
    label_map: LabelMap | None
    read: Callable[[], np.ndarray]


def infer_label_maps(masks: Sequence[Evidence]) -> tuple[list[LabelMap], list[str]]:
    """Find out what the values of every mask mean.

    Masks without names are inferred together: a value has one meaning in all.

    Returns:
        A label map a mask, and sentences about what was not read as it stands in the files.

    Raises:
        DataError: it cannot be decided; the message names values, areas and the ways out.
    """
    notes = _notes(masks)
    unnamed = [mask for mask in masks if mask.label_map is None or is_partial(mask.label_map)]
    guessed: LabelMap = "foreground"
    if unnamed:
        guessed, more = guess_label_map(unnamed)
        notes += more
    void = [mask for mask in masks if leaves_void(mask.label_map, mask.counts.values)]
    if void:
        notes.append(
            f"{_names(void)}: 255 has no name beside those of the classes and "
            "was read as unknown, so its pixels count nowhere; name it, e.g. "
            '{"255": "unknown"} in classes.json or 255=unknown in --classes'
        )
    marked = {id(mask) for mask in void}
    label_maps: list[LabelMap] = []
    for mask in masks:
        if isinstance(mask.label_map, str):
            _check_objects(mask, mask.label_map)
        label_maps.append(guessed if mask.label_map is None else mask.label_map)
        if mask.label_map is not None and is_partial(mask.label_map):
            label_maps[-1] = _merged(guessed, mask)
        elif id(mask) in marked:
            label_maps[-1] = {**_partial(mask), 255: UNKNOWN}
    several = [m for m in masks if isinstance(m.label_map, str) and _mixed(m.counts.values)]
    if several:
        notes.append(
            f"{_names(several)}: {_areas(several)} are all read as {several[0].label_map}, since "
            f"every non-zero value is; name them apart if one is unknown, e.g. {_example(several)}"
        )
    return label_maps, notes + _mostly_foreground(masks)


def leaves_void(label_map: LabelMap | None, values: set[int]) -> bool:
    """Whether a label map names several small classes and leaves 255, the usual unknown, out."""
    if not isinstance(label_map, Mapping) or 255 in label_map or 255 not in values:
        return False
    classes = label_map_classes(label_map)
    return len(classes) > 1 and max(label_map) < 255 and UNKNOWN not in label_map.values()


def guess_label_map(masks: Sequence[Evidence]) -> tuple[LabelMap, list[str]]:
    """Infer the meaning of unnamed values from all masks that hold them.

    Args:
        masks: with no label map, or one that names unknown and background values alone.

    Returns:
        "foreground" for binary masks, else `{value: name}`; and sentences about doubts.

    Raises:
        DataError: two people might read them differently.
    """
    sets = [mask.counts.values - set(_partial(mask)) for mask in masks]
    values = sorted(set().union(*sets))
    shown = [mask for mask, held in zip(masks, sets, strict=True) if held]
    if not values:
        return "foreground", []
    _refuse_doubts(shown)
    if values[-1] >= COLOUR:
        return _colours(shown, values)
    if max(map(len, sets)) == 1 and set(values) <= {1, *WHITE}:
        _refuse_full(shown, values)
        _refuse_inverted(shown)
        return "foreground", _mixed_binary(shown)
    if values[-1] > 255 or len(values) > MAX_GUESSED:
        raise DataError(
            f"{_names(shown)}: {len(values)} values without names ({shorten(values)}), too many or "
            f"too large for classes. Do they number objects of one class? {_OBJECTS} Are they "
            "classes? --classes 1=liver 2=spleen"
        )
    if values[-1] == 255:
        raise DataError(_white_message(shown, values))
    _refuse_full(shown, values)
    if are_numbered([mask.read for mask in shown if len(mask.counts.values) >= 4]):
        raise DataError(
            f"{_names(shown)}: the values {shorten(values)} have no names, and each is one blob, "
            f"as if they numbered objects. Are they objects of one class? {_OBJECTS} "
            "Are they classes? Name them: --classes 1=liver 2=spleen …"
        )
    return {value: str(value) for value in values}, []


def check_size(mask: str, size: Sequence[int], image: str, expected: Sequence[int]) -> None:
    """Raise unless a mask has the height and width of its image; masks are never resampled.

    Raises:
        DataError: they differ.
    """
    (height, width), (rows, columns) = size, expected
    if (height, width) == (rows, columns):
        return
    if (height, width) == (columns, rows):
        hint = "height and width are exchanged: turn the mask (or the image) by 90 degrees"
    elif height * columns == width * rows:
        hint = (
            f"it is {height / rows:.3g} times as large: export it at the size of the image, or "
            "resize one of them, masks without interpolation (nearest neighbour)"
        )
    else:
        hint = "the shapes differ, too: does it belong to another image, or to a part of it?"
    raise DataError(
        f"mask {mask} has {height} x {width} pixels (height x width) but {image} has {rows} x "
        f"{columns}; expected the same size. {hint[0].upper()}{hint[1:]}"
    )


_OBJECTS = '--classes NAME (every non-zero value is NAME) or {"instances": "NAME"} in classes.json.'


def _refuse_doubts(masks: Sequence[Evidence]) -> None:
    doubted = [mask for mask in masks if mask.counts.doubt]
    if doubted:
        raise DataError(
            f"mask {_names(doubted)} cannot be read for sure: {doubted[0].counts.doubt}. Or "
            f"decide yourself: {_cut(doubted[0])}"
        )


def _cut(mask: Evidence) -> str:
    values = sorted(mask.counts.values)
    if values[-1] >= COLOUR or len(values) < 4:
        named = " ".join(f"{value_name(v)}={_name_of(values, v)}" for v in values[::-1][:4])
        return f"--classes {named}"
    top = next((white for white in WHITE if white // 2 < values[-1] <= white), values[-1])
    middle = (top + 1) // 2
    return f"--classes 1-{middle - 1}=background {middle}-{top}=NAME, with the limit of your choice"


def _check_objects(mask: Evidence, name: str) -> None:
    """Refuse to take every non-zero value for a class where most of them are artefacts."""
    if mask.counts.doubt and mask.counts.values:
        raise DataError(
            f"mask {mask.name} cannot be read for sure as {name} (every non-zero value): "
            f"{mask.counts.doubt}. Or decide yourself: {_cut(mask).replace('NAME', name)}"
        )


def _colours(masks: Sequence[Evidence], values: list[int]) -> tuple[LabelMap, list[str]]:
    """Take every flat colour for a class, on the one ground that is there."""
    zeros = any(plane.get(0) for mask in masks for plane in mask.counts.planes)
    colours = [value for value in values if value != 255]
    if zeros == (255 in values):
        ground = "black and white are there" if zeros else "neither black nor white is there"
        first, *rest = [value_name(value) for value in values[::-1]]
        raise DataError(
            f"{_names(masks)}: {_areas(masks)}; which colour is the background is not clear, as "
            f"{ground}. Name all of them, e.g. --classes {first}=NAME "
            + " ".join(f"{name}=background" for name in rest[:3] or ["black"])
        )
    label_map: dict[int, str | None] = {value: value_name(value) for value in colours}
    if zeros:
        return label_map, []
    label_map[255] = None
    return label_map, [f"{_names(masks)}: white was read as the background"]


def _mixed_binary(masks: Sequence[Evidence]) -> list[str]:
    groups: dict[int, list[Evidence]] = defaultdict(list)
    for mask in masks:
        groups[max(mask.counts.values)].append(mask)
    if len(groups) == 1:
        return []
    parts = [f"0 and {value} in {len(g)} ({_names(g)})" for value, g in sorted(groups.items())]
    return [f"masks hold {', '.join(parts)}: all were read as the same class, foreground"]


def _white_message(masks: Sequence[Evidence], values: list[int]) -> str:
    others = [value for value in values if value != 255]
    listed = " ".join(f"{value}={_name_of(others, value)}" for value in others[:4])
    left = " ".join(f"{value}=unknown" for value in others[:4])
    return (
        f"{_names(masks)}: {_areas(masks)}; whether 255 is a class, or unknown, is not clear. "
        f"Decide with --classes {listed} 255=unknown (pixels of 255 count nowhere), --classes "
        f"255=NAME {left} (the others count nowhere), or --classes NAME (every non-zero value); or "
        'in classes.json beside the data, e.g. {"255": "unknown"}'
    )


def _refuse_full(masks: Sequence[Evidence], values: list[int]) -> None:
    if any(mask.counts.covered < 1 for mask in masks):
        return
    ways = [f"--classes {values[0]}=NAME"] if len(values) == 1 else []
    for ground in sorted(values, key=lambda value: -_pixels(masks)[value])[:2]:
        others = [value for value in values if value != ground][:4]
        named = " ".join(f"{value}={_name_of(others, value)}" for value in others)
        ways += [f"--classes {ground}=background {named}"] if others else []
    ways.append("--classes NAME (every pixel is NAME)")
    raise DataError(
        f"{_names(masks)}: {_areas(masks)}; no pixel is 0, so which value is the background is not "
        f"clear. Decide with {' or '.join(ways)}"
    )


def _refuse_inverted(masks: Sequence[Evidence]) -> None:
    if any(mask.counts.framed < 0.9 or mask.counts.covered < 0.5 for mask in masks):
        return
    value = max(masks[0].counts.values)
    raise DataError(
        f"{_names(masks)}: {_areas(masks)}; the foreground surrounds the background, as if the "
        f"object were black on white. Decide with --classes 0=NAME {value}=background (black is "
        f"the object) or --classes {value}=NAME (it is not)"
    )


def _mostly_foreground(masks: Sequence[Evidence]) -> list[str]:
    """Doubt masks of one named class that surround their background."""
    odd = [
        mask
        for mask in masks
        if isinstance(mask.label_map, str)
        and mask.counts.framed > 0.9
        and mask.counts.covered > 0.5
    ]
    if not odd or len(odd) < len(masks) / 2:
        return []
    return [
        f"{_names(odd)}: {odd[0].label_map} surrounds the background; if it is black on white, "
        f"give --classes 0={odd[0].label_map} {max(odd[0].counts.values)}=background"
    ]


def _notes(masks: Sequence[Evidence]) -> list[str]:
    groups: dict[str, list[Evidence]] = defaultdict(list)
    for mask in masks:
        if mask.counts.note:
            groups[mask.counts.note].append(mask)
    return [f"mask {_names(group)}: {note}" for note, group in groups.items()]


def _mixed(values: set[int]) -> bool:
    return 255 in values and 2 <= len(values) <= 3


def _example(masks: Sequence[Evidence]) -> str:
    low = min(masks[0].counts.values)
    return f"--classes {low}={masks[0].label_map} 255=unknown"


def _partial(mask: Evidence) -> Mapping[int, str | None]:
    return mask.label_map if isinstance(mask.label_map, Mapping) else {}


def _merged(guessed: LabelMap, mask: Evidence) -> LabelMap:
    """Add values that are unknown or background to what was guessed of the others."""
    if isinstance(guessed, str):
        rest = mask.counts.values - set(_partial(mask)) or {1}
        guessed = dict.fromkeys(sorted(rest), guessed)
    return {**guessed, **_partial(mask)}


def _names(masks: Sequence[Evidence]) -> str:
    return shorten((mask.name for mask in masks), 3)


def _name_of(values: list[int], value: int) -> str:
    return "NAME" if len(values) == 1 else f"NAME{values.index(value) + 1}"


def _pixels(masks: Sequence[Evidence]) -> dict[int, int]:
    pixels: dict[int, int] = defaultdict(int)
    for mask in masks:
        for plane in mask.counts.planes:
            for value, number in plane.items():
                pixels[value] += number
    return pixels


def _areas(masks: Sequence[Evidence]) -> str:
    """The values with their areas, e.g. `1 (1,941 px, 15.8 %)`."""
    pixels = _pixels(masks)
    total = max(1, sum(pixels.values()))
    listed = (
        f"{value_name(value)} ({number:,} px, {100 * number / total:.1f} %)"
        for value, number in sorted(pixels.items())
        if value
    )
    return shorten(listed, 6)
