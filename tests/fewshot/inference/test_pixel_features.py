"""Oracles: SciPy's own filters and scikit-image's eigenvalues."""

import numpy as np
import pytest
from scipy import ndimage
from skimage.feature import structure_tensor_eigenvalues

from fewshot.inference.pixel_features import FEATURES_PER_SCALE, SIGMAS, pixel_features


@pytest.fixture(scope="module")
def image():
    return np.random.default_rng(0).random((30, 41, 2)).astype(np.float32)


@pytest.mark.parametrize(("number", "sigma"), [*enumerate(SIGMAS)])
def test_each_filter(image, number, sigma):
    found = pixel_features(image)
    assert found.shape == (30, 41, 2 * len(SIGMAS) * FEATURES_PER_SCALE)
    assert found.dtype == np.float32
    start = (len(SIGMAS) + number) * FEATURES_PER_SCALE
    ours = np.moveaxis(found[..., start : start + FEATURES_PER_SCALE], 2, 0)
    plane = image[..., 1].astype(float)

    def gauss(order):
        return ndimage.gaussian_filter(plane, sigma, order, truncate=3.0)

    down, across = gauss((1, 0)), gauss((0, 1))
    ones = np.ones((9, 9))
    ended = ndimage.gaussian_filter(ones, sigma, (2, 0), truncate=3.0)[0, 0]  # would be 0
    hessian = [
        gauss((2, 0)) - ended * gauss(0),
        gauss((1, 1)),
        gauss((0, 2)) - ended * gauss(0),
    ]
    tensor = [
        ndimage.gaussian_filter(product, sigma / 2, truncate=3.0)
        for product in (down**2, down * across, across**2)
    ]
    expected = (
        gauss(0),
        ndimage.gaussian_laplace(plane, sigma, truncate=3.0) - 2 * ended * gauss(0),
        np.sqrt(down**2 + across**2),
        *structure_tensor_eigenvalues(np.stack(tensor)),
        *structure_tensor_eigenvalues(np.stack(hessian)),
    )
    for one, other in zip(ours, expected, strict=True):
        np.testing.assert_allclose(one, other, atol=2e-5)


def test_images_of_one_pixel_and_of_one_value():
    assert np.isfinite(pixel_features(np.ones((1, 1, 1), np.float32))).all()
    flat = pixel_features(np.full((5, 6, 1), 0.5, np.float32), (1.0,))
    np.testing.assert_allclose(flat[2, 2], [0.5, 0, 0, 0, 0, 0, 0], atol=1e-6)
