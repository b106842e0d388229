"""Which predicted object belongs to which reference object."""

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from fewshot.metrics.overlap_table import OverlapTable

Ints = NDArray[np.int64]


def match_pairs(
    table: OverlapTable,
    threshold: float,
    comparison: Literal[">", ">="] = ">",
    method: Literal["optimal", "greedy"] = "optimal",
    *,
    maximise_count: bool = True,
) -> Ints:
    """Match objects one to one among the pairs whose IoU passes a threshold.

    Args:
        table: from ``overlap_table``.
        threshold: IoU in 0..1.
        comparison: ">" or ">=".
        method: "optimal" or "greedy" (pairs by falling IoU; equal IoU by reference, then label).
        maximise_count: whether the optimum is the largest number of matches, the sum of IoU
            breaking ties; else it is the largest sum of IoU.

    Returns:
        Positions of the matched pairs in the table ``[match]``, rising.

    Raises:
        ValueError: a setting is not one of those named, or the threshold is outside 0..1.

    Example:
        One reference object of 6 pixels, split into 4 and 2: only one half can be matched.

        >>> from fewshot.metrics.overlap_table import overlap_table
        >>> table = overlap_table([1, 1, 1, 1, 2, 2], [1, 1, 1, 1, 1, 1])
        >>> table.label_ids[table.columns[match_pairs(table, threshold=0.1)]]
        array([1])

    Paper:
        Kuhn, The Hungarian method for the assignment problem, 1955.
    """
    if comparison not in (">", ">="):
        raise ValueError(f"comparison is {comparison!r}, expected '>' or '>='")
    if method not in ("optimal", "greedy"):
        raise ValueError(f"method is {method!r}, expected 'optimal' or 'greedy'")
    if not 0 <= threshold <= 1:
        raise ValueError(f"threshold is {threshold}, expected an IoU in 0..1")
    passing = table.iou > threshold if comparison == ">" else table.iou >= threshold
    pairs = np.flatnonzero(passing)
    if _is_one_to_one(table.rows[pairs]) and _is_one_to_one(table.columns[pairs]):
        return pairs
    if method == "greedy":
        return _greedy(table, pairs)
    return _optimal(table, pairs, maximise_count)


def _is_one_to_one(positions: Ints) -> bool:
    return not positions.size or int(np.bincount(positions).max()) == 1


def _greedy(table: OverlapTable, pairs: Ints) -> Ints:
    order = pairs[np.lexsort((table.columns[pairs], table.rows[pairs], -table.iou[pairs]))]
    free_rows = np.ones(len(table.reference_ids), bool)
    free_columns = np.ones(len(table.label_ids), bool)
    taken = []
    for pair in order.tolist():
        row, column = table.rows[pair], table.columns[pair]
        if free_rows[row] and free_columns[column]:
            free_rows[row] = free_columns[column] = False
            taken.append(pair)
    return np.sort(np.array(taken, np.int64))


def _optimal(table: OverlapTable, pairs: Ints, maximise_count: bool) -> Ints:
    """Solve each connected group of objects alone: groups are small, the whole need not be."""
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    rows, columns = table.rows[pairs], table.columns[pairs]
    offset = len(table.reference_ids)
    nodes = offset + len(table.label_ids)
    graph = coo_matrix((np.ones(len(pairs), bool), (rows, columns + offset)), shape=(nodes, nodes))
    group = connected_components(graph, directed=False)[1][rows]
    order = np.argsort(group, kind="stable")
    bounds = np.flatnonzero(np.diff(group[order])) + 1
    groups = np.split(pairs[order], bounds)
    return np.sort(np.concatenate([_assign(table, each, maximise_count) for each in groups]))


def _assign(table: OverlapTable, pairs: Ints, maximise_count: bool) -> Ints:
    from scipy.optimize import linear_sum_assignment

    if len(pairs) == 1:
        return pairs
    rows, row = np.unique(table.rows[pairs], return_inverse=True)
    columns, column = np.unique(table.columns[pairs], return_inverse=True)
    gain = np.zeros((len(rows), len(columns)))
    gain[row, column] = table.iou[pairs]
    if maximise_count:  # the sum of IoU / (matches + 1) stays below one match
        gain[row, column] = 1 + gain[row, column] / (min(gain.shape) + 1)
    position = np.full(gain.shape, -1, np.int64)
    position[row, column] = pairs
    found = position[linear_sum_assignment(gain, maximize=True)]
    return found[found >= 0]
