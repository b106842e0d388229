"""A line with the classes of a catalog's masks and their areas."""

from collections import defaultdict
from collections.abc import Iterable, Mapping

from episodes.catalog.catalog import Catalog
from episodes.errors import shorten
from episodes.io.mask_colours import value_name
from episodes.masks.label_map import BACKGROUND, UNKNOWN, LabelMap

_MAX_LISTED = 8
_VALUES = 4


def classes_line(catalog: Catalog) -> str:
    """List the classes of a catalog with class areas, largest total area first.

    E.g. `classes read from 4 masks: 1 liver 4,812 px (7.3 %) in 3 of 4`.
    """
    catalog.require_areas()
    annotated = [sample for sample in catalog.samples if sample.masks]
    areas: dict[str, int] = defaultdict(int)
    images: dict[str, int] = defaultdict(int)
    for sample in annotated:
        for name, area in (sample.areas or {}).items():
            areas[name] += area
            images[name] += area > 0
    pixels = sum(sample.size[0] * sample.size[1] for sample in annotated)
    label_maps = (mask.label_map for sample in annotated for mask in sample.masks)
    return describe_classes(areas, images, pixels, len(annotated), label_maps)


def describe_classes(
    areas: Mapping[str, int],
    images: Mapping[str, int],
    pixels: int,
    masks: int,
    label_maps: Iterable[LabelMap | None],
) -> str:
    """Put classes and areas into one line.

    Args:
        areas: pixels of each class.
        images: in how many images each class is.
        pixels: of all masks.
        masks: how many images have masks.
        label_maps: of the masks.
    """
    values = _values(label_maps)
    shown = sorted((name for name in areas if areas[name]), key=lambda name: -areas[name])
    listed = [
        f"{_titled(name, values.get(name, {}))} {areas[name]:,} px "
        f"({_percent(areas[name], pixels)}) in {images[name]} of {masks}"
        for name in shown
    ]
    rest = [
        _titled(name, values[name])
        for name in (UNKNOWN, BACKGROUND)
        if name in values and name not in areas
    ]
    text = ", ".join([shorten(listed, _MAX_LISTED) or "none", *rest])
    return f"classes read from {masks} mask{'s' * (masks != 1)}: {text}"


def _values(label_maps: Iterable[LabelMap | None]) -> dict[str, dict[int, None]]:
    """Which values each class has; none where every non-zero value is of one class."""
    by_name: dict[str, dict[int, None]] = defaultdict(dict)
    distinct = {
        id(label_map): label_map for label_map in label_maps if isinstance(label_map, Mapping)
    }
    for label_map in distinct.values():
        for value, name in sorted(label_map.items()):
            by_name[name or BACKGROUND][value] = None
    return by_name


def _titled(name: str, values: Iterable[int]) -> str:
    """A class with its values: `1 liver`, `128-255 cell`, or `class 2` without a name."""
    listed = [value_name(value) for value in values]
    if len(listed) > _VALUES:
        listed = [f"{listed[0]}-{listed[-1]}"]
    if listed == [name]:
        return f"class {name}"
    return f"{' and '.join(listed)} {name}" if listed else name


def _percent(area: int, pixels: int) -> str:
    percent = 100 * area / max(1, pixels)
    return f"{percent:.1f} %" if percent >= 0.1 else f"{percent:.2g} %"
