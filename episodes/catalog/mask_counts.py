"""Counts of the values in every mask file: the one pass over the pixels of masks."""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from tqdm import tqdm

from episodes.catalog.catalog import Catalog
from episodes.errors import DataError
from episodes.io.mask_pixels import MaskPixels
from episodes.io.pixels import PixelRef
from episodes.io.read import mask_of
from episodes.masks.area_cache import AreaCache, MaskCounts
from episodes.masks.values import check_size

MAX_WORKERS = 8
CountsBySource = Mapping[PixelRef, MaskCounts]
"""Counts by source: the planes that are read together, see `PixelRef.source`."""

_SMALL = 2**16  # values below are counted in one pass, without sorting


@dataclass(frozen=True)
class _Mask:
    """A mask; where `objects`, its values number objects and only their area matters."""

    source: PixelRef
    objects: bool


def count_masks(
    catalog: Catalog,
    *,
    workers: int | None = None,
    cache: Path | None = None,
    progress: bool = False,
) -> dict[PixelRef, MaskCounts]:
    """Count the values of every mask file of a catalog, by its source.

    Threads read the files, as decompression runs beside Python; the result does not depend on
    their number. Ctrl-C ends after the files that are being read, and what was counted so far is
    in the cache.

    Args:
        catalog: as a reader made it.
        workers: threads; by default one a processor, at most 8.
        cache: folder that keeps the counts of files; None for no cache.
        progress: show a progress bar.

    Raises:
        DataError: a mask cannot be read or differs in size from its image; of several, the first
            in the order of the catalog.
    """
    if workers is not None and workers < 1:
        raise DataError(f"workers is {workers}; expected at least 1, or None")
    masks = _masks(catalog)
    sizes = {m.pixels.source: s.size for s in catalog.samples for m in s.masks}
    counts: dict[PixelRef, MaskCounts] = {}
    area_cache = AreaCache.open(cache, [mask.source.path for mask in masks])
    try:
        for mask, mask_counts in _count_all(masks, area_cache, workers, progress):
            check_size(mask.source.name, mask_counts.shape[1:], "its image", sizes[mask.source])
            counts[mask.source] = mask_counts
    finally:
        area_cache.save()
    return counts


def count_values(labels: np.ndarray, objects: bool = False) -> MaskCounts:
    """Count the values of each plane.

    Args:
        labels: whole numbers from 0 upwards [depth height width].
        objects: count every non-zero value as 1, unless there are few.
    """
    planes = []
    for plane in labels:
        if plane.size and plane.max() < _SMALL:
            table = np.bincount(plane.ravel())
            values = np.flatnonzero(table)
            planes.append(dict(zip(values.tolist(), table[values].tolist(), strict=True)))
        else:
            values, table = np.unique(plane, return_counts=True)
            planes.append(dict(zip(values.tolist(), table.tolist(), strict=True)))
    depth, height, width = labels.shape
    edges = (labels[:, 0], labels[:, -1], labels[:, :, 0], labels[:, :, -1])
    frame = sum(int(np.count_nonzero(edge)) for edge in edges)
    counts = MaskCounts((depth, height, width), tuple(planes), frame=frame)
    return counts.of_objects() if objects else counts


def count_mask(mask: MaskPixels, objects: bool = False) -> MaskCounts:
    """Count the values of a mask as it was read; see `count_values`."""
    counts = count_values(mask.labels, objects and not mask.doubt)
    return replace(counts, note=mask.note, doubt=mask.doubt)


def _masks(catalog: Catalog) -> list[_Mask]:
    objects: dict[PixelRef, bool] = {}
    for sample in catalog.samples:
        for mask in sample.masks:
            source = mask.pixels.source
            objects[source] = isinstance(mask.label_map, str) and objects.get(source, True)
    return [_Mask(source, is_objects) for source, is_objects in objects.items()]


def _count_all(
    masks: list[_Mask], cache: AreaCache, workers: int | None, progress: bool
) -> Iterator[tuple[_Mask, MaskCounts]]:
    """Count in the order of the masks, whichever thread is first."""

    def count(part: list[_Mask]) -> list[tuple[_Mask, MaskCounts]]:
        return [(mask, _count(mask, cache)) for mask in part]

    threads = workers or min(MAX_WORKERS, os.cpu_count() or 1)
    bar = tqdm(total=len(masks), desc="measuring masks", unit="file", disable=not progress)
    with bar:
        if threads == 1:
            for mask in masks:
                yield mask, _count(mask, cache)
                bar.update()
            return
        pool = ThreadPoolExecutor(threads, thread_name_prefix="measure")
        try:
            for part in pool.map(count, _parts(masks, threads)):
                yield from part
                bar.update(len(part))
        finally:
            pool.shutdown(cancel_futures=True)


def _parts(masks: Sequence[_Mask], threads: int) -> Iterable[list[_Mask]]:
    size = max(1, min(64, len(masks) // (8 * threads)))
    return [list(masks[start : start + size]) for start in range(0, len(masks), size)]


def _count(mask: _Mask, cache: AreaCache) -> MaskCounts:
    counts = cache.find(mask.source, mask.objects)
    if counts is None:
        counts = count_mask(mask_of(mask.source), mask.objects)
        cache.remember(mask.source, counts)
    return counts
