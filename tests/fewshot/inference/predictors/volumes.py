"""Volumes of two organs."""

import numpy as np


def volume(number: int) -> tuple[np.ndarray, np.ndarray]:
    """Six slices of a body with two organs, the second of which lies in some alone."""
    generator = np.random.default_rng(number)
    rows, columns = np.mgrid[:64, :64]
    labels = np.zeros((6, 64, 64), np.uint8)
    labels[1:5, 12:28, 10 + number : 30 + number] = 3
    labels[2:6, 38:54, 34:52] = 7
    body = (rows - 32) ** 2 + (columns - 32) ** 2 < 30**2
    image = 40 * body + 30 * (labels == 3) + 90 * (labels == 7) + np.arange(6)[:, None, None]
    return (image + generator.normal(0, 2, image.shape)).astype(np.float32), labels
