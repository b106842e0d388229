"""Which candidates are mixed, and with what weights, for what is annotated."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from fewshot.inference.resolution import structure_width
from fewshot.lazily import lazily

ndimage = lazily("scipy.ndimage")


@dataclass(frozen=True)
class MaskDescription:
    """What is annotated, of the class that differs most from one compact structure.

    Attributes:
        parts: connected parts an annotated image, the mean.
        width: of the structures, as a share of the image's longest side, see `structure_width`.
        area: marked share of the known pixels.
    """

    parts: float
    width: float
    area: float


@dataclass(frozen=True)
class Configuration:
    """What was chosen.

    Attributes:
        weights: of the candidates' log odds; names of `CANDIDATES`.
        bias: added to the sum.
        reason: in plain words.
    """

    weights: Mapping[str, float]
    bias: float
    reason: str

    def fixed(self, names: Sequence[str]) -> "Configuration":
        """Mix the named candidates in equal parts instead."""
        share = 1 / len(names)
        return replace(self, weights=dict.fromkeys(names, share), bias=0.0, reason="chosen by hand")


def describe_masks(maps: Sequence[np.ndarray], way: int) -> MaskDescription:
    """Measure what is annotated.

    Args:
        maps: labels of annotated planes [height width]: 0 background, 1..way, 255 unknown.
        way: number of classes.
    """
    parts = [
        np.mean([ndimage.label(found == label)[1] for found in maps if (found == label).any()])
        for label in range(1, way + 1)
    ]
    areas = [
        sum(int((found == label).sum()) for found in maps)
        / max(1, sum(int((found != 255).sum()) for found in maps))
        for label in range(1, way + 1)
    ]
    return MaskDescription(
        float(max(parts)), structure_width([found[None] for found in maps]), float(min(areas))
    )


def configure(described: MaskDescription) -> Configuration:
    """Choose weights for what is annotated."""
    names = ("neighbours-256", "neighbours-256-fine", "neighbours-512", "neighbours-512-fine")
    return Configuration(dict.fromkeys(names, 0.25), 0.0, "")
