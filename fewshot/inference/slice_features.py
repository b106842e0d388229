"""Features of the planes of images, computed once for all classes and methods that need them."""

import itertools
import time
import weakref
from collections.abc import Hashable

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from episodes.catalog.letterbox import to_tensor
from episodes.sampling.episode import to_channels
from episodes.sampling.sampler import binary_mask
from fewshot.inference.cache import Cache
from fewshot.inference.inputs import ImageStack
from fewshot.inference.postprocessing.flip_tta import mirrored
from fewshot.inference.preprocess import letterbox_of, limits_of
from fewshot.models.network import FewShotNetwork

_PLANES = 1024  # whose features and images are remembered

_numbers = itertools.count()
_arrays: dict[int, tuple[weakref.ref[np.ndarray], int]] = {}


def identity_of(image: ImageStack) -> Hashable:
    """Name the pixels of an image in caches: its key, or a number of the array as long as it lives.

    A number is never given twice, so that a new array at an old address is another one.
    """
    if image.key is not None:
        return image.key
    address = id(image.pixels)
    known = _arrays.get(address)
    if known is None or known[0]() is not image.pixels:
        known = _arrays[address] = (weakref.ref(image.pixels), next(_numbers))
        weakref.finalize(image.pixels, _forget, address, known[1])
    return known[1]


def _forget(address: int, number: int) -> None:
    if address in _arrays and _arrays[address][1] == number:
        del _arrays[address]


class SliceFeatures:
    """Features of single planes, in the square of the network's settings.

    Planes are kept in half precision, as the loader of the training keeps them, and encoded one by
    one, so that a plane has the same features in every context.

    Args:
        network: in evaluation mode; one whose head works on features.
        planes: how many are remembered.

    Attributes:
        seconds: that every encoding took.
    """

    def __init__(self, network: FewShotNetwork, planes: int = _PLANES) -> None:
        self.network = network
        self.seconds: list[float] = []
        self._images: Cache[Tensor] = Cache(planes)
        self._features: Cache[Tensor] = Cache(planes)

    def image(self, image: ImageStack, plane: int) -> Float[Tensor, "1 3 size size"]:
        """Fit a plane into the square, with intensities from 0 to 1."""

        def fit() -> Tensor:
            frame = letterbox_of(image, self.network.settings.size)
            return frame.fit_image(to_tensor(image.pixels[plane], limits_of(image, plane))).half()

        kept = self._images.get((identity_of(image), plane), fit)
        return to_channels(kept.float(), 3)[None]

    @torch.inference_mode()
    def __call__(
        self, image: ImageStack, plane: int, mirror: bool = False
    ) -> Float[Tensor, "channel rows columns"]:
        """Return the features of a plane, or of its mirror image."""
        name = (identity_of(image), plane, mirror)
        return self._features.get(name, lambda: self._encode(image, plane, mirror))

    def _encode(self, image: ImageStack, plane: int, mirror: bool) -> Tensor:
        pixels = self.image(image, plane)
        wait_for(self.network.device)
        started = time.perf_counter()
        features = self.network.encode(mirrored(pixels) if mirror else pixels)[0]
        wait_for(self.network.device)
        self.seconds.append(time.perf_counter() - started)
        return features

    def volume(self, image: ImageStack) -> Float[Tensor, "depth channel rows columns"]:
        """Return the features of all planes of an image."""
        planes = range(len(image.pixels))
        return torch.stack([self(image, plane) for plane in planes]).float()

    def mask(
        self, image: ImageStack, labels: UInt8[np.ndarray, "height width"], way: int
    ) -> UInt8[Tensor, "size size"]:
        """Fit the labels of a plane into the square: 1 for a way, 0 for others, 255 unknown."""
        frame = letterbox_of(image, self.network.settings.size)
        return binary_mask(frame.fit_labels(torch.from_numpy(np.ascontiguousarray(labels))), way)

    def share_cache(self, other: "SliceFeatures") -> None:
        """Use what another object computed with the same network."""
        self._images, self._features = other._images, other._features


def wait_for(device: torch.device) -> None:
    """Wait until an accelerator has computed what was asked of it; it works on otherwise."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
