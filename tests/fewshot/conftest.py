import numpy as np
import pytest

from fewshot.inference.segmenter import Segmenter
from fewshot.models.encoder import EncoderSettings
from fewshot.models.network import NetworkSettings


@pytest.fixture(scope="session")
def segmenter() -> Segmenter:
    """The default encoder at a small size; shared, so tests must not change it."""
    return Segmenter(NetworkSettings(size=64))


@pytest.fixture
def own_segmenter() -> Segmenter:
    """A segmenter with random weights that a test may change."""
    return Segmenter(NetworkSettings(encoder=EncoderSettings(weights="none"), size=64))


def disc_scene(seed: int, size: int = 96) -> tuple[np.ndarray, np.ndarray]:
    """A bright textured disc and a striped bar on noise: uint8 image, labels 0, 1 disc, 2 bar."""
    generator = np.random.default_rng(seed)
    rows, columns = np.mgrid[:size, :size]
    centre = generator.integers(size // 4, size // 2, 2)
    labels = np.zeros((size, size), np.uint8)
    labels[(rows - centre[0]) ** 2 + (columns - centre[1]) ** 2 < (size // 6) ** 2] = 1
    labels[-size // 5 :, size // 8 : -size // 8] = 2
    image = generator.normal(60, 8, (size, size))
    image[labels == 1] += 120
    image[labels == 2] += 60 * (columns[labels == 2] // 3 % 2)
    return np.clip(image, 0, 255).astype(np.uint8), labels
