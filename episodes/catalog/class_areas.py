"""Class areas: how many pixels of each class every image has."""

import warnings
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from episodes.catalog.catalog import Catalog, Sample
from episodes.catalog.mask_counts import CountsBySource, count_masks
from episodes.errors import DataError
from episodes.io.pixels import IGNORE, MaskRef, PixelRef
from episodes.io.read import labels_of
from episodes.masks.area_cache import MaskCounts
from episodes.masks.label_map import UNKNOWN, LabelMap, check_named, is_partial, label_map_classes
from episodes.masks.values import Evidence, infer_label_maps, leaves_void


def compute_class_areas(
    catalog: Catalog,
    *,
    progress: bool = False,
    workers: int | None = None,
    cache: Path | None = None,
) -> Catalog:
    """Count the pixels of each class in every mask, and complete label maps and classes.

    Args:
        catalog: as a reader made it.
        progress: show a progress bar.
        workers: threads that read; by default one a processor, at most 8. The result does not
            depend on them.
        cache: folder that keeps the counts of files, e.g.
            `episodes.masks.area_cache.cache_folder()`; None for no cache. See
            `episodes.masks.area_cache` for when a file counts as unchanged.

    Returns:
        The same samples with `areas` and complete label maps; `classes` completed.

    Raises:
        DataError: a mask cannot be read, differs in size from its image, or holds a value that
            the label map lacks.
    """
    if catalog.has_areas:
        return catalog
    return apply_label_map(
        catalog, count_masks(catalog, workers=workers, cache=cache, progress=progress)
    )


def apply_label_map(catalog: Catalog, counts: CountsBySource) -> Catalog:
    """Give every mask a label map and every sample its areas; see `compute_class_areas`.

    Args:
        catalog: as a reader made it.
        counts: of all its mask files, from `episodes.catalog.mask_counts.count_masks`.
    """
    for sample in catalog.samples:
        for mask in sample.masks:
            _plane(sample, mask, counts[mask.pixels.source])  # is there
    label_maps = _label_maps(catalog.samples, counts)
    samples = tuple(_with_areas(sample, counts, label_maps) for sample in catalog.samples)
    in_masks = dict.fromkeys(
        name for label_map in label_maps.values() for name in label_map_classes(label_map)
    )
    classes = tuple(dict.fromkeys((*catalog.classes, *in_masks)))
    return replace(catalog, samples=samples, classes=classes)


@dataclass(frozen=True)
class Unnamed:
    """A mask value without a name.

    Attributes:
        value: the number in the masks.
        pixels: how many pixels hold it.
        files: the mask files, in the order of the catalog.
    """

    value: int
    pixels: int
    files: tuple[Path, ...]


def unnamed_values(catalog: Catalog, counts: CountsBySource) -> tuple[Unnamed, ...]:
    """List every value that is neither 0 nor in the label map of its mask."""
    pixels: dict[int, int] = defaultdict(int)
    files: dict[int, dict[Path, None]] = defaultdict(dict)
    for source, label_map in given_label_maps(catalog).items():
        if label_map is None or isinstance(label_map, str) or is_partial(label_map):
            continue
        void = leaves_void(label_map, counts[source].values)
        for plane in counts[source].planes:
            for value, number in plane.items():
                if value and value not in label_map and not (void and value == IGNORE):
                    pixels[value] += number
                    files[value][source.path] = None
    return tuple(Unnamed(value, pixels[value], tuple(files[value])) for value in sorted(pixels))


def with_label_maps(catalog: Catalog, label_maps: Mapping[PixelRef, LabelMap]) -> Catalog:
    """Give some mask files another label map."""

    def relabelled(sample: Sample) -> Sample:
        masks = (
            replace(mask, label_map=label_maps.get(mask.pixels.source, mask.label_map))
            for mask in sample.masks
        )
        return replace(sample, masks=tuple(masks))

    return replace(catalog, samples=tuple(relabelled(sample) for sample in catalog.samples))


def given_label_maps(catalog: Catalog) -> dict[PixelRef, LabelMap | None]:
    """The label map of every mask, by its source; None where its values have no names."""
    return {mask.pixels.source: mask.label_map for s in catalog.samples for mask in s.masks}


def _label_maps(samples: Iterable[Sample], counts: CountsBySource) -> dict[PixelRef, LabelMap]:
    """Give every mask file a label map; those without names are inferred together."""
    by_source = {mask.pixels.source: mask.label_map for sample in samples for mask in sample.masks}
    evidence = [
        Evidence(source.name, counts[source], label_map, partial(labels_of, source))
        for source, label_map in by_source.items()
    ]
    label_maps, notes = infer_label_maps(evidence)
    for sentence in notes:
        warnings.warn(sentence, stacklevel=4)
    return dict(zip(by_source, label_maps, strict=True))


def _with_areas(
    sample: Sample, counts: CountsBySource, label_maps: Mapping[PixelRef, LabelMap]
) -> Sample:
    areas: dict[str, int] = defaultdict(int)
    masks: list[MaskRef] = []
    for mask in sample.masks:
        source = mask.pixels.source
        label_map, plane = label_maps[source], _plane(sample, mask, counts[source])
        for name, area in _areas(plane, label_map, source.name).items():
            areas[name] += area
        masks.append(mask if mask.label_map is label_map else replace(mask, label_map=label_map))
    return replace(sample, masks=tuple(masks), areas=dict(areas))


def _plane(sample: Sample, mask: MaskRef, counts: MaskCounts) -> Mapping[int, int]:
    plane = mask.pixels.plane or 0
    if plane >= len(counts.planes):
        raise DataError(
            f"mask {mask.pixels.name} has {len(counts.planes)} planes; plane {plane} was "
            f"expected, because image {sample.image.name} has it"
        )
    return counts.planes[plane]


def _areas(counts: Mapping[int, int], label_map: LabelMap, mask_name: str) -> dict[str, int]:
    if isinstance(label_map, str):
        return {label_map: sum(n for value, n in counts.items() if value)}
    check_named(counts, label_map, mask_name)
    areas: dict[str, int] = defaultdict(int)
    for value, number in counts.items():
        name = label_map.get(value)
        if name and name != UNKNOWN:
            areas[name] += number
    return dict(areas)
