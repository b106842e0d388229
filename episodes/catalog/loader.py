"""From samples to square tensors, each file decoded once while there is room to remember it."""

from collections import OrderedDict
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from episodes.catalog.catalog import Sample
from episodes.catalog.letterbox import Frame, intensity_range, to_tensor
from episodes.errors import DataError
from episodes.io import read as decode
from episodes.io.pixels import IGNORE, PixelRef
from episodes.masks.label_map import class_map, named


class Loader:
    """Reads samples as tensors of one size.

    Args:
        size: side of the square that every image is fitted into, in pixels.
        cache_bytes: how much memory decoded planes may take; the least recently used go first.
    """

    def __init__(self, size: int = 256, cache_bytes: int = 2**30) -> None:
        if size < 32:
            raise ValueError(f"size is {size} pixels; expected at least 32")
        self.size = size
        self.cache_bytes = cache_bytes
        self._cache: OrderedDict[tuple[PixelRef, str], list[Tensor]] = OrderedDict()
        self._bytes = 0

    def image(self, sample: Sample) -> Tensor:
        """Read an image, scaled to [0, 1]: float32 [channel size size], channel 1 or 3.

        The slices of a volume share the intensity range of the whole volume.
        """
        return self._plane(sample.image, "image").float()

    def labels(self, sample: Sample, classes: Sequence[str]) -> Tensor:
        """Read a label map over `classes`: uint8 [size size], 0, 1..len(classes), 255 unknown.

        Where masks of different classes overlap, the pixel is unknown.
        """
        frame = Frame(*sample.size, self.size)
        merged = torch.zeros(frame.size, frame.size, dtype=torch.uint8)
        for mask in sample.masks:
            values = self._plane(mask.pixels, "labels")
            found = class_map(values.numpy(), named(mask), tuple(classes), mask.pixels.name)
            labels = frame.fit_labels(torch.from_numpy(found))
            clash = (merged > 0) & (labels > 0) & (merged != labels)
            merged = torch.where(labels > 0, labels, merged)
            merged[clash] = IGNORE
        if not sample.masks:
            merged = frame.fit_labels(torch.full(sample.size, IGNORE, dtype=torch.uint8))
        return merged

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
        if key in self._cache:
            self._cache.move_to_end(key)
            return self._cache[key]
        planes = self._decode(source, kind)
        self._cache[key] = planes
        self._bytes += _nbytes(planes)
        while self._bytes > self.cache_bytes and len(self._cache) > 1:
            _, dropped = self._cache.popitem(last=False)
            self._bytes -= _nbytes(dropped)
        return planes

    def _decode(self, source: PixelRef, kind: str) -> list[Tensor]:
        if kind == "labels":
            labels = decode.labels_of(source)
            return [torch.from_numpy(np.ascontiguousarray(plane)) for plane in labels]
        pixels = decode.planes_of(source)
        limits = intensity_range(pixels)
        frame = Frame(pixels.shape[1], pixels.shape[2], self.size)
        # float16 halves the memory and resolves more steps than the screen.
        return [frame.fit_image(to_tensor(plane, limits)).half() for plane in pixels]


def _nbytes(planes: Sequence[Tensor]) -> int:
    return sum(plane.numel() * plane.element_size() for plane in planes)
