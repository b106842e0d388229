"""Steps from images to images: hand-computed values, and what each is for."""

import numpy as np
import pytest

from episodes.errors import DataError
from fewshot import (
    BiasFieldCorrection,
    Contrast,
    Denoise,
    Normalise,
    Resample,
    Window,
    image_planes,
)
from fewshot.inference.inputs import ImageStack
from tests.fewshot.pipeline.scenes import geometry_of

NOISE = np.random.default_rng(0)


@pytest.mark.parametrize("method", ["median", "nl-means", "bilateral", "tv"])
@pytest.mark.parametrize("shape", [(32, 32), (32, 32, 3), (5, 32, 32)])
def test_noise_becomes_less_and_intensities_keep_their_range(method, shape):
    clean = np.full(shape, 1000.0)
    clean[..., :16, :] += 500 if shape[-1] == 32 else 0
    noisy = clean + NOISE.normal(0, 20, shape)
    step = Denoise(method, size=5, strength=None if method == "median" else 0.3)
    found = step.apply(image_planes(noisy)).pixels.reshape(shape)
    assert np.abs(found - clean).mean() < 0.7 * np.abs(noisy - clean).mean()


def test_a_window_is_that_of_radiologists():
    found = Window(40, 400).apply(image_planes(np.array([[-1000.0, -160, 40, 240, 900]])))
    assert found.pixels.ravel().tolist() == [-160, -160, 40, 240, 240]
    assert found.limits == (-160, 240)


def test_images_are_normalised_by_hand_computed_values():
    image = image_planes(np.array([[0.0, 2, 4, 6]]))
    scores = Normalise("z-score").apply(image)
    assert scores.pixels.ravel() == pytest.approx(np.array([-3, -1, 1, 3]) / np.sqrt(5))
    assert scores.limits == (-3, 3)
    assert Normalise("range").apply(image).pixels.ravel() == pytest.approx([0, 1 / 3, 2 / 3, 1])
    cut = Normalise("percentile", (0, 50)).apply(image).pixels.ravel()
    assert cut == pytest.approx([0, 2 / 3, 1, 1])
    even = image_planes(np.full((4, 4), 7.0))
    for method in ("z-score", "range", "percentile"):
        assert not Normalise(method).apply(even).pixels.any()


@pytest.mark.parametrize("method", ["clahe", "gamma", "stretch"])
def test_contrast_is_raised_between_0_and_1(method):
    dark = NOISE.uniform(0, 30, (48, 48))
    dark[:3, :3] = 255  # a bright spot takes most of the range
    dark[4:8, 4:8] = 200
    found = Contrast(method, percentiles=(0, 90)).apply(image_planes(dark))
    assert found.limits == (0, 1)
    assert 0 <= found.pixels.min() <= found.pixels.max() <= 1
    assert np.ptp(np.percentile(found.pixels, (5, 95))) > np.ptp(np.percentile(dark, (5, 95))) / 255


def test_a_smooth_factor_is_divided_out():
    field = np.linspace(0.6, 1.4, 64)[:, None] * np.ones((64, 64))
    inside = np.hypot(*(np.indices((64, 64)) - 32)) < 28
    tissue = np.where(inside, NOISE.normal(100, 2, (64, 64)), 1)
    found = BiasFieldCorrection(iterations=20).apply(image_planes(tissue * field))
    left = (found.pixels[0] / tissue)[inside]
    assert left.std() / left.mean() < 0.3 * field[inside].std() / field[inside].mean()
    with pytest.raises(DataError, match="none below 0"):
        BiasFieldCorrection().apply(image_planes(np.array([[-5.0, 3]])))


def test_a_volume_is_resampled_to_a_spacing_and_covers_the_same_space():
    geometry = geometry_of((4, 20, 20), (3.0, 0.5, 0.5), unit=1.0)
    volume = ImageStack(np.ones((4, 20, 20)), "v", volume=True, geometry=geometry)
    found = Resample(spacing="1 mm", plane_spacing="1500 um").apply(volume)
    assert found.pixels.shape == (8, 10, 10)
    assert found.geometry.plane_spacing == pytest.approx((1.5, 1, 1))
    corner = np.array([-0.5, -0.5, -0.5, 1])  # of the first voxel
    assert found.geometry.affine @ corner == pytest.approx(geometry.affine @ corner)
    with pytest.raises(DataError, match="no spacing"):
        Resample(spacing="1 mm").apply(image_planes(np.ones((4, 4))))


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Denoise("medain"), "did you mean median"),
        (lambda: Denoise(size=4), "odd"),
        (lambda: Denoise(size=True), "a whole number"),
        (lambda: Window(0, 0), "expected a number from"),
        (lambda: Normalise(percentiles=(99, 1)), "lower one first"),
        (lambda: Resample(), "either a factor or a spacing"),
        (lambda: Resample(spacing="0.5"), "with its unit"),
        (lambda: Resample(spacing="5 mm2"), "expected a length"),
    ],
)
def test_what_is_wrong_is_refused_with_what_was_expected(make, words):
    with pytest.raises(DataError, match=words):
        make()
