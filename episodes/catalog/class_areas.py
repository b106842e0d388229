"""From the values of masks to areas of classes: which image shows how much of which class."""

import warnings
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from episodes.catalog.catalog import Catalog, Sample
from episodes.catalog.mask_counts import Counted, count_masks
from episodes.errors import DataError
from episodes.io import read as decode
from episodes.io.pixels import IGNORE, MaskRef, PixelRef
from episodes.masks.area_cache import MaskCounts
from episodes.masks.label_map import UNKNOWN, Legend, check_named, is_partial, legend_classes
from episodes.masks.values import Evidence, leaves_void, settle_legends


def measure(
    catalog: Catalog,
    *,
    progress: bool = False,
    workers: int | None = None,
    cache: Path | None = None,
) -> Catalog:
    """Read every mask once, settle what its values mean, and note the areas.

    Args:
        catalog: as a reader made it.
        progress: show a progress bar.
        workers: threads that read; by default one a processor, at most 8. They change nothing
            but the time.
        cache: folder that remembers what was measured, e.g.
            `episodes.masks.area_cache.cache_folder()`; None for no cache. See
            `episodes.masks.area_cache` for when a file counts as unchanged.

    Returns:
        The same samples with `areas` and settled legends; `classes` completed.

    Raises:
        DataError: a mask cannot be read, differs in size from its image, or holds a value that
            the legend lacks.
    """
    if catalog.measured:
        return catalog
    return settle(catalog, count_masks(catalog, workers=workers, cache=cache, progress=progress))


def settle(catalog: Catalog, counts: Counted) -> Catalog:
    """Give every mask a legend and every sample its areas; see `measure`.

    Args:
        catalog: as a reader made it.
        counts: of all its mask files, from `episodes.catalog.mask_counts.count_masks`.
    """
    for sample in catalog.samples:
        for mask in sample.masks:
            _plane(sample, mask, counts[mask.pixels.source])  # is there
    legends = _legends(catalog.samples, counts)
    samples = tuple(_measured(sample, counts, legends) for sample in catalog.samples)
    found = dict.fromkeys(name for legend in legends.values() for name in legend_classes(legend))
    classes = tuple(dict.fromkeys((*catalog.classes, *found)))
    return replace(catalog, samples=samples, classes=classes)


@dataclass(frozen=True)
class Unnamed:
    """A mask value that nobody named.

    Attributes:
        value: the number in the masks.
        pixels: how many pixels hold it.
        files: the mask files, in the order of the catalog.
    """

    value: int
    pixels: int
    files: tuple[Path, ...]


def unnamed_values(catalog: Catalog, counts: Counted) -> tuple[Unnamed, ...]:
    """List every value that is neither 0 nor in the legend of its mask."""
    pixels: dict[int, int] = defaultdict(int)
    files: dict[int, dict[Path, None]] = defaultdict(dict)
    for source, legend in given_legends(catalog).items():
        if legend is None or isinstance(legend, str) or is_partial(legend):
            continue
        void = leaves_void(legend, counts[source].values)
        for plane in counts[source].planes:
            for value, number in plane.items():
                if value and value not in legend and not (void and value == IGNORE):
                    pixels[value] += number
                    files[value][source.path] = None
    return tuple(Unnamed(value, pixels[value], tuple(files[value])) for value in sorted(pixels))


def with_legend(catalog: Catalog, change: Mapping[PixelRef, Legend]) -> Catalog:
    """Give some mask files another legend."""

    def changed(sample: Sample) -> Sample:
        masks = (
            replace(mask, legend=change.get(mask.pixels.source, mask.legend))
            for mask in sample.masks
        )
        return replace(sample, masks=tuple(masks))

    return replace(catalog, samples=tuple(changed(sample) for sample in catalog.samples))


def given_legends(catalog: Catalog) -> dict[PixelRef, Legend | None]:
    """The legend of every mask, by its source; None where nobody named its values."""
    return {mask.pixels.source: mask.legend for s in catalog.samples for mask in s.masks}


def _legends(samples: Iterable[Sample], counts: Counted) -> dict[PixelRef, Legend]:
    """Give every mask file a legend; those that nobody named are decided together."""
    given = {mask.pixels.source: mask.legend for sample in samples for mask in sample.masks}
    evidence = [
        Evidence(source.name, counts[source], legend, partial(decode.labels_of, source))
        for source, legend in given.items()
    ]
    legends, said = settle_legends(evidence)
    for sentence in said:
        warnings.warn(sentence, stacklevel=4)
    return dict(zip(given, legends, strict=True))


def _measured(sample: Sample, counts: Counted, legends: Mapping[PixelRef, Legend]) -> Sample:
    areas: dict[str, int] = defaultdict(int)
    masks: list[MaskRef] = []
    for mask in sample.masks:
        source = mask.pixels.source
        legend, plane = legends[source], _plane(sample, mask, counts[source])
        for name, area in _areas(plane, legend, source.name).items():
            areas[name] += area
        masks.append(mask if mask.legend is legend else replace(mask, legend=legend))
    return replace(sample, masks=tuple(masks), areas=dict(areas))


def _plane(sample: Sample, mask: MaskRef, counts: MaskCounts) -> Mapping[int, int]:
    plane = mask.pixels.plane or 0
    if plane >= len(counts.planes):
        raise DataError(
            f"mask {mask.pixels.name} has {len(counts.planes)} planes; plane {plane} was "
            f"expected, because image {sample.image.name} has it"
        )
    return counts.planes[plane]


def _areas(counts: Mapping[int, int], legend: Legend, where: str) -> dict[str, int]:
    if isinstance(legend, str):
        return {legend: sum(n for value, n in counts.items() if value)}
    check_named(counts, legend, where)
    areas: dict[str, int] = defaultdict(int)
    for value, number in counts.items():
        name = legend.get(value)
        if name and name != UNKNOWN:
            areas[name] += number
    return dict(areas)
