"""A ring of three pixels' width, found again in another noisy picture without any training.

Dice of the ring with the offline encoder (pictures of 256 x 256, one shot, local prototypes of
single positions):

    strides  compared at  purity  most   scale   Dice
    (4, 8)   256          0.5     all    20      0.55   thinner than a position
    (4, 8)   512          0.75    512    20      0.77   1.6 times too wide: see below
    (4, 8)   512          0.5     all    20      0.87   1.3 times too wide
    (4, 8)   512          0.5     all    60      0.93
    (2, 4)   256          0.5     all    20      0.85
    (2, 4)   256          0.5     all    60      0.92
    (2,)     256          0.5     all    60      0.89

Beside the ring lie positions that are ring in part. With a high purity, or with few prototypes
kept, the background has none that look like them, so that the ring takes them; with a small scale
the many distant prototypes outvote the near ones.
"""

from dataclasses import replace

import numpy as np
import pytest

from fewshot.inference.segmenter import Segmenter
from fewshot.models.encoder import EncoderSettings
from fewshot.models.heads import ALPNetSettings
from fewshot.models.network import NetworkSettings

FINE = ALPNetSettings(window=1, purity=0.5, most=20_000, scale=60.0)


SIZE = 128
"""Side of the pictures here: as many pixels a position as above, a sixteenth of the comparisons."""


def ring(seed: int, size: int = SIZE, width: int = 3) -> tuple[np.ndarray, np.ndarray]:
    """A bright ring of another place and radius for each seed, on noise; and its mask."""
    generator = np.random.default_rng(seed)
    rows, columns = np.mgrid[:size, :size]
    scale = size / 256
    centre, radius = scale * generator.uniform(100, 156, 2), scale * generator.uniform(50, 80)
    distance = np.hypot(rows - centre[0], columns - centre[1])
    mask = np.abs(distance - radius) < width / 2
    image = generator.normal(80, 12, (size, size)) + 90 * mask
    return np.clip(image, 0, 255).astype(np.uint8), mask


def ring_dice(head: ALPNetSettings, strides: tuple[int, ...], size: int) -> float:
    segmenter = Segmenter(NetworkSettings(encoder=EncoderSettings(strides=strides), head=head))
    (first, mask), (second, truth) = ring(0), ring(1)
    found = segmenter.segment(second, segmenter.learn(first, mask, size=size)).labels[0] == 1
    return float(2 * (found & truth).sum() / (found.sum() + truth.sum()))


def test_fine_strides_and_impure_prototypes_find_it():
    assert ring_dice(FINE, (2, 4), SIZE) >= 0.85


@pytest.mark.parametrize(
    ("head", "strides", "size"),
    [
        (FINE, (8, 16), SIZE),  # a position of eight pixels
        (replace(FINE, purity=0.95, most=1024), (4, 8), SIZE),  # no position is pure
    ],
)
def test_what_does_not_find_it(head, strides, size):
    assert ring_dice(head, strides, size) < 0.7
