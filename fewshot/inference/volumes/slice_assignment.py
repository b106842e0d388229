"""Choosing supports by cost: each query for itself, or in order along a volume."""

import numpy as np


def nearest_support(costs: np.ndarray) -> np.ndarray:
    """Choose the cheapest support of every query, int64 [query]; ties go to the first.

    Args:
        costs: [query support].
    """
    return np.argmin(costs, axis=1)


def viterbi_assignment(costs: np.ndarray) -> np.ndarray:
    """Choose supports that never go back along the query volume, at the least total cost.

    The path may begin and end at any support, may stay at one and may skip some (Viterbi's
    algorithm). Of equal paths the one with the earlier supports is taken.

    Args:
        costs: finite [query support], both in the order of their volumes.

    Returns:
        The chosen supports, int64 [query], rising or equal.

    Example:
        Alone, the last query would go back to the first support.

        >>> costs = np.array([[0.0, 9.0, 9.0], [9.0, 0.0, 2.0], [1.0, 3.0, 2.0]])
        >>> viterbi_assignment(costs).tolist()
        [0, 1, 2]

    Paper: Viterbi, Error bounds for convolutional codes, 1967.
    """
    costs = np.asarray(costs, np.float64)
    queries, supports = costs.shape
    origin = np.zeros((queries, supports), np.int64)
    total = costs[0].copy() if queries else np.zeros(supports)
    correspondences = np.arange(supports)
    for query in range(1, queries):
        # The best end at or before each support, and where it was.
        lowest = np.minimum.accumulate(total)
        fresh = np.append(True, lowest[1:] < lowest[:-1])
        origin[query] = np.maximum.accumulate(np.where(fresh, correspondences, 0))
        total = lowest + costs[query]
    path = np.zeros(queries, np.int64)
    if queries:
        path[-1] = int(np.argmin(total))
    for query in range(queries - 1, 0, -1):
        path[query - 1] = origin[query, path[query]]
    return path


def assign_supports(costs: np.ndarray, top: int = 1, *, ordered: bool = False) -> np.ndarray:
    """Choose the supports of every query, the best first: int64 [query top].

    Args:
        costs: finite [query support].
        top: how many supports a query; at most as many as there are.
        ordered: whether the first ones must follow the order of both volumes; the others are the
            cheapest of the rest.

    >>> assign_supports(np.array([[3.0, 1.0, 2.0]]), top=2).tolist()
    [[1, 2]]
    """
    costs = np.array(costs, np.float64)
    first = viterbi_assignment(costs) if ordered else nearest_support(costs)
    costs[np.arange(len(costs)), first] = -np.inf
    return np.argsort(costs, axis=1, kind="stable")[:, : max(1, top)]
