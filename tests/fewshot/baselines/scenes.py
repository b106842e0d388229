"""Small pictures for the baselines, and settings that try few values."""

import numpy as np

from fewshot.inference.inputs import ImageStack
from fewshot.inference.support_set import SupportSet

_ONE_WEIGHT = {"weights": (1.0,)}
TINY = {"encoder": "test_resnet", "weights": "none", "patch": 64, "learning_rate": 0.01}
"""A network that is trained in a second."""
QUICK = {
    "local-threshold": {"blocks": (51,), "sigmas": (1.0,)},
    "multi-otsu": {"counts": (3,), "sigmas": (1.0,)},
    "histogram-valleys": {"widths": (5.0,), "sigmas": (1.0,)},
    "k-means": {"clusters": (8,), **_ONE_WEIGHT},
    "gaussian-mixture": {"counts": (1,), **_ONE_WEIGHT},
    "watershed": {"sigmas": (1.0,), "certainties": (0.95,), **_ONE_WEIGHT},
    "region-growing": {"certainties": (0.8,), "tolerances": (4.0,)},
    "edge-filling": {"sigmas": (1.0,), "quantiles": (0.8,), "closings": (1,)},
    "random-walker": {"betas": (100.0,), "certainties": (0.95,)},
    "felzenszwalb": {"scales": (20.0,), **_ONE_WEIGHT},
    "graph-cut": {"strengths": (1.0,), **_ONE_WEIGHT},
    "grabcut": {"strengths": (1.0,), "rounds": (1,), "pixels": 1000, "components": 1},
    "chan-vese": {"smoothings": (1,), "steps": (6,), **_ONE_WEIGHT},
    "geodesic-contour": {"balloons": (0,), "alphas": (100.0,), **_ONE_WEIGHT},
    "shape-model": {"edges": (0.5,), "modes": (0,)},
    "atlas": {"smoothings": (1.5,)},
    "atlas-staple": {"smoothings": (1.5,)},
    "fcn": {**TINY, "stride": 4, "steps": 30},
    "unet": {**TINY, "decoder": (16, 16, 8), "steps": 25},
    "mask-rcnn": {**TINY, "channels": 8, "steps": 1, "batch": 1},
    "pixel-forest": {"trees": 10, "pixels": 800, "sigmas": (1.0, 3.5)},
}
for _name, _values in QUICK.items():
    if _values.get("weights") == (1.0,) or _name in (
        "region-growing",
        "edge-filling",
        "shape-model",
    ):
        _values["components"], _values["pixels"] = 1, 1000


def scene(seed: int, size: int = 64) -> tuple[np.ndarray, np.ndarray]:
    """A bright disc (1) and a dark bar (2) at nearly the same place: uint8 image, labels."""
    generator = np.random.default_rng(seed)
    rows, columns = np.mgrid[:size, :size]
    down, right = generator.integers(-2, 3, 2)
    labels = np.zeros((size, size), np.uint8)
    labels[(rows - 22 - down) ** 2 + (columns - 24 - right) ** 2 < 13**2] = 1
    labels[44 + down : 56 + down, 14 + right : 50 + right] = 2
    image = np.array([100, 190, 20])[labels] + generator.normal(0, 6, labels.shape)
    return image.clip(0, 255).astype(np.uint8), labels


def stack(
    pixels: np.ndarray, name: str = "image", whole: bool = False, **more: object
) -> ImageStack:
    return ImageStack(pixels if whole else pixels[None], name, **more)


def shots(
    *pairs: tuple[np.ndarray, np.ndarray], names=("a",), limits=None, objects=None
) -> SupportSet:
    values = tuple(range(1, len(names) + 1))
    maps = tuple(labels[None] for _, labels in pairs)
    pictures = tuple(stack(pixels, limits=limits) for pixels, _ in pairs)
    return SupportSet(pictures, maps, names, values, objects=objects)


def dice(one: np.ndarray, other: np.ndarray) -> float:
    return float(2 * (one & other).sum() / max(one.sum() + other.sum(), 1))
