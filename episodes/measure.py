"""One pass over the masks of a catalog: which image shows how much of which class."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import replace

import numpy as np
from tqdm import tqdm

from episodes import decode
from episodes.catalog import Catalog, MaskRef, PixelRef, Sample
from episodes.errors import DataError
from episodes.legend import Legend, class_map, guess_legend, legend_classes

Counts = Mapping[int, int]


def measure(catalog: Catalog, *, progress: bool = False) -> Catalog:
    """Read every mask once, settle what its values mean, and note the areas.

    Args:
        catalog: as a reader made it.
        progress: show a progress bar.

    Returns:
        The same samples with `areas` and settled legends; `classes` completed; `notes` with what
        looks wrong (annotated images without any class).

    Raises:
        DataError: a mask cannot be read, differs in size from its image, or holds a value that
            the legend lacks.
    """
    if catalog.measured:
        return catalog
    planes: dict[PixelRef, dict[int, Counts]] = {}
    sizes = {m.pixels.source: s.size for s in catalog.samples for m in s.masks}
    for source in tqdm(sizes, desc="measuring masks", unit="file", disable=not progress):
        planes[source] = _count(source, sizes[source])
    legends = _settle(catalog.samples, planes)
    samples = tuple(_measured(sample, planes, legends) for sample in catalog.samples)
    found = dict.fromkeys(name for legend in legends.values() for name in legend_classes(legend))
    classes = tuple(dict.fromkeys((*catalog.classes, *found)))
    empty = sum(1 for s in samples if s.masks and not any((s.areas or {}).values()))
    notes = catalog.notes
    if empty:
        notes = (*notes, f"{empty} of {len(samples)} images have an empty mask")
    return replace(catalog, samples=samples, classes=classes, notes=notes)


def _count(source: PixelRef, size: tuple[int, int]) -> dict[int, Counts]:
    """Count the values on every plane of a mask file."""
    labels = decode.labels_of(source)
    if labels.shape[1:] != size:
        raise DataError(
            f"mask {source.name} has {labels.shape[1]} x {labels.shape[2]} pixels (height x width) "
            f"but its image has {size[0]} x {size[1]}; expected the same size"
        )
    counts: dict[int, Counts] = {}
    for plane, values in enumerate(labels):
        found, number = np.unique(values, return_counts=True)
        counts[plane] = dict(zip(found.tolist(), number.tolist(), strict=True))
    return counts


def _settle(
    samples: Iterable[Sample], planes: Mapping[PixelRef, Mapping[int, Counts]]
) -> dict[PixelRef, Legend]:
    """Give every mask file a legend; those that nobody named are guessed together."""
    values: dict[PixelRef, set[int]] = defaultdict(set)
    legends: dict[PixelRef, Legend] = {}
    for sample in samples:
        for mask in sample.masks:
            source = mask.pixels.source
            if mask.legend is not None:
                legends[source] = mask.legend
            else:
                values[source].update(*planes[source].values())
    if values:
        where = str(next(iter(values)).path.parent)
        guess = guess_legend(set().union(*values.values()), f"the masks in {where}")
        legends.update(dict.fromkeys(values, guess))
    return legends


def _measured(
    sample: Sample,
    planes: Mapping[PixelRef, Mapping[int, Counts]],
    legends: Mapping[PixelRef, Legend],
) -> Sample:
    areas: dict[str, int] = defaultdict(int)
    masks: list[MaskRef] = []
    for mask in sample.masks:
        source = mask.pixels.source
        legend = legends[source]
        counts = planes[source].get(mask.pixels.plane or 0)
        if counts is None:
            raise DataError(
                f"mask {source.name} has {len(planes[source])} planes; plane {mask.pixels.plane} "
                f"was expected, because image {sample.image.name} has it"
            )
        for name, area in _areas(counts, legend, source.name).items():
            areas[name] += area
        masks.append(replace(mask, legend=legend))
    return replace(sample, masks=tuple(masks), areas=dict(areas))


def _areas(counts: Counts, legend: Legend, name: str) -> dict[str, int]:
    if isinstance(legend, str):
        return {legend: sum(n for value, n in counts.items() if value)}
    class_map(np.array(list(counts)), legend, (), name)  # raises on a value nobody named
    areas: dict[str, int] = defaultdict(int)
    for value, number in counts.items():
        label = legend.get(value)
        if label:
            areas[label] += number
    return dict(areas)
