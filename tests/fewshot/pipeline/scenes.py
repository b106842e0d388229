"""Small images with known objects."""

import numpy as np

from episodes.io.geometry import Geometry

SIDE = 64


def squares(*corners, side=10):
    """Bright squares on a dark ground with a little noise; labels of 0 and 1."""
    labels = np.zeros((SIDE, SIDE), np.uint8)
    for row, column in corners:
        labels[row : row + side, column : column + side] = 1
    noise = np.random.default_rng(len(corners)).integers(0, 20, labels.shape)
    return (labels * 150 + noise).astype(np.uint8), labels


def geometry_of(shape, spacing, unit=1.0):
    """Planes, rows and columns are the last, second and first axis of a file."""
    affine = np.diag([*spacing[::-1], 1.0])
    return Geometry(affine, tuple(shape[::-1]), (2, 1, 0), (), unit=unit)
