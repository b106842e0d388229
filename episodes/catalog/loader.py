"""From samples to square tensors, each file decoded once while there is room to remember it."""

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from episodes.catalog.catalog import Sample
from episodes.catalog.letterbox import Letterbox, intensity_range, to_tensor
from episodes.errors import DataError
from episodes.io.pixels import IGNORE, PixelRef
from episodes.io.read import labels_of, planes_of
from episodes.masks.label_map import MAX_VALUES, UNKNOWN, class_map, label_map_classes, named

MAP_BYTES = 2**28
"""Memory that label maps may take; those of samples not used for the longest time go first."""
_MASKS = 8  # label maps kept of one sample


@dataclass
class _Regions:
    """Which classes lie where in a sample, whichever of them are requested.

    Attributes:
        sample: that they belong to.
        codes: [size size], numbers in `names`.
        names: of the classes at the pixels of each code, "unknown" among them; none is background.
        maps: label maps that were made of it, by the value of each code.
    """

    sample: Sample
    codes: np.ndarray
    names: tuple[tuple[str, ...], ...]
    maps: dict[bytes, Tensor] = field(default_factory=dict)

    @property
    def nbytes(self) -> int:
        return self.codes.nbytes + sum(each.nbytes for each in self.maps.values())


class Loader:
    """Reads samples as tensors of one size.

    Args:
        size: side of the square that every image is fitted into, in pixels.
        cache_bytes: how much memory decoded planes may take; the least recently used go first.
            Label maps take up to `MAP_BYTES` beside them.
    """

    def __init__(self, size: int = 256, cache_bytes: int = 2**30) -> None:
        if size < 32:
            raise ValueError(f"size is {size} pixels; expected at least 32")
        self.size = size
        self.cache_bytes = cache_bytes
        self._cache: OrderedDict[tuple[PixelRef, str], list[Tensor]] = OrderedDict()
        self._bytes = 0
        self._regions: OrderedDict[str, _Regions] = OrderedDict()
        self._map_bytes = 0

    def image(self, sample: Sample) -> Tensor:
        """Read an image, scaled to [0, 1]: float32 [channel size size], channel 1 or 3.

        The slices of a volume share the intensity range of the whole volume.
        """
        return self.kept_image(sample).float()

    def kept_image(self, sample: Sample) -> Tensor:
        """Read an image as it is kept: float16, not to be changed; see `image`."""
        return self._plane(sample.image, "image")

    def labels(self, sample: Sample, classes: Sequence[str]) -> Tensor:
        """Read a label image over `classes`: uint8 [size size], 0, 1..len(classes), 255 unknown.

        Where masks of different classes overlap, the pixel is unknown.
        """
        return self.kept_labels(sample, class_values(classes)).clone()

    def kept_labels(self, sample: Sample, values: Mapping[str, int]) -> Tensor:
        """Read a label image that holds these values: uint8 [size size], not to be changed.

        Args:
            sample: read once while there is room to remember it.
            values: of classes, 0 to 255, and of `UNKNOWN`; those of others are 0. A pixel whose
                classes have different values other than 0 is 255.
        """
        regions = self._find_regions(sample)
        value = values.get
        table = bytes(
            [
                value(names[0], 0) if len(names) == 1 else _merge(names, values)
                for names in regions.names
            ]
        )
        found = regions.maps.get(table)
        if found is None:
            found = torch.from_numpy(np.take(np.frombuffer(table, np.uint8), regions.codes))
            if len(regions.maps) == _MASKS:
                self._map_bytes -= regions.maps.pop(next(iter(regions.maps))).nbytes
            regions.maps[table] = found
            self._map_bytes += found.nbytes
            self._drop_regions()
        return found

    def _find_regions(self, sample: Sample) -> _Regions:
        found = self._regions.get(sample.key)
        if found is not None and found.sample is sample:
            self._regions.move_to_end(sample.key)
            return found
        if found is not None:  # a sample of another catalog with the same key
            self._map_bytes -= self._regions.pop(sample.key).nbytes
        self._regions[sample.key] = found = self._read_regions(sample)
        self._map_bytes += found.nbytes
        self._drop_regions()
        return found

    def _drop_regions(self) -> None:
        while self._map_bytes > MAP_BYTES and len(self._regions) > 1:
            _, dropped = self._regions.popitem(last=False)
            self._map_bytes -= dropped.nbytes

    def _read_regions(self, sample: Sample) -> _Regions:
        frame = Letterbox(*sample.size, self.size)
        codes, names = np.zeros((self.size, self.size), np.intp), [frozenset[str]()]
        for mask in sample.masks:
            pixels = self._plane(mask.pixels, "labels").numpy()
            classes = label_map_classes(named(mask))
            for start in range(0, len(classes) or 1, MAX_VALUES):  # as many as fit in a byte
                some = classes[start : start + MAX_VALUES]
                found = class_map(pixels, named(mask), some, mask.pixels.name)
                fitted = frame.fit_labels(torch.from_numpy(found)).numpy()
                codes, names = _overlay(codes, names, fitted, some)
        if not sample.masks:
            fitted = frame.fit_labels(torch.full(sample.size, IGNORE, dtype=torch.uint8)).numpy()
            codes, names = _overlay(codes, names, fitted, ())
        small = codes.astype(np.uint8 if len(names) <= 256 else np.int32)
        return _Regions(sample, small, tuple(map(tuple, names)))

    def _plane(self, pixels: PixelRef, kind: str) -> Tensor:
        planes = self._planes(pixels.source, kind)
        if (pixels.plane or 0) >= len(planes):
            raise DataError(
                f"{pixels.name} has {len(planes)} planes; plane {pixels.plane} was expected. "
                "Did the file change after the data set was read?"
            )
        return planes[pixels.plane or 0]

    def _planes(self, source: PixelRef, kind: str) -> list[Tensor]:
        key = (source, kind)
        planes = self._cache.get(key)
        if planes is not None:
            self._cache.move_to_end(key)
            return planes
        planes = self._decode(source, kind)
        self._cache[key] = planes
        self._bytes += _nbytes(planes)
        while self._bytes > self.cache_bytes and len(self._cache) > 1:
            _, dropped = self._cache.popitem(last=False)
            self._bytes -= _nbytes(dropped)
        return planes

    def _decode(self, source: PixelRef, kind: str) -> list[Tensor]:
        if kind == "labels":
            labels = labels_of(source)
            return [torch.from_numpy(np.ascontiguousarray(plane)) for plane in labels]
        pixels = planes_of(source)
        limits = intensity_range(pixels)
        frame = Letterbox(pixels.shape[1], pixels.shape[2], self.size)
        # float16 halves the memory and resolves more steps than the screen.
        return [frame.fit_image(to_tensor(plane, limits)).half() for plane in pixels]


def class_values(classes: Sequence[str]) -> dict[str, int]:
    """Number classes from 1, in their order, and the unknown 255.

    Raises:
        DataError: more classes than numbers.

    >>> class_values(["liver", "spleen"])
    {'liver': 1, 'spleen': 2, 'unknown': 255}
    """
    if len(classes) > MAX_VALUES:
        raise DataError(
            f"{len(classes)} classes at once; at most {MAX_VALUES} fit in a label image"
        )
    return {name: value for value, name in enumerate(classes, start=1)} | {UNKNOWN: IGNORE}


def _merge(names: Sequence[str], values: Mapping[str, int]) -> int:
    found = {values.get(name, 0) for name in names} - {0}
    if len(found) > 1:
        return IGNORE
    return found.pop() if found else 0


def _overlay(
    codes: np.ndarray, names: list[frozenset[str]], fitted: np.ndarray, classes: Sequence[str]
) -> tuple[np.ndarray, list[frozenset[str]]]:
    """Merge a mask into the labels of an image.

    Args:
        codes: [size size], numbers in `names`.
        names: the classes of each code.
        fitted: uint8 [size size]: 0 background, 1..len(classes), 255 unknown.
        classes: of the mask.

    Returns:
        New codes and their names.
    """
    pairs = codes * (IGNORE + 1) + fitted
    present = np.flatnonzero(np.bincount(pairs.ravel()))
    numbers: dict[frozenset[str], int] = {}
    table = np.zeros(int(present[-1]) + 1, np.intp)
    for pair in present.tolist():
        before, value = divmod(pair, IGNORE + 1)
        added = {UNKNOWN} if value == IGNORE else {classes[value - 1]} if value else set[str]()
        table[pair] = numbers.setdefault(names[before] | added, len(numbers))
    return np.take(table, pairs), list(numbers)


def _nbytes(planes: Sequence[Tensor]) -> int:
    return sum(plane.numel() * plane.element_size() for plane in planes)
