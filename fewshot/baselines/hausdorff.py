"""The modified Hausdorff distance between drawings: the classical baseline of Omniglot.

Paper: Dubuisson and Jain, A modified Hausdorff distance for object matching, ICPR 1994. Lake et al.
(Science 2015) give it as the baseline of their one-shot runs, with 38.8 % of errors.
"""

import numpy as np
from scipy.spatial import cKDTree


def modified_hausdorff(first: np.ndarray, second: np.ndarray) -> float:
    """Compare two sets of points.

    The larger of the two mean distances from a point of one set to the nearest of the other.

    Args:
        first, second: points [point axis], e.g. from `ink_points`.

    Returns:
        In the unit of the points; infinite where one set is empty, 0 where both are.

    >>> modified_hausdorff(np.array([[0.0, 0.0]]), np.array([[0.0, 1.0], [0.0, 3.0]]))
    2.0
    """
    if not len(first) or not len(second):
        return 0.0 if len(first) == len(second) else float("inf")
    there = cKDTree(second).query(first)[0].mean()
    back = cKDTree(first).query(second)[0].mean()
    return float(max(there, back))


def ink_points(ink: np.ndarray) -> np.ndarray:
    """List the places of ink about their mean: float64 [point 2], row and column.

    >>> ink_points(np.array([[True, False, True]])).tolist()
    [[0.0, -1.0], [0.0, 1.0]]
    """
    points = np.argwhere(ink).astype(np.float64)
    return points - points.mean(axis=0) if len(points) else points
