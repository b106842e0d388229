"""Markers: where the appearance is certain of a label."""

import numpy as np
from scipy import ndimage


def markers_of(posterior: np.ndarray, certainty: float) -> np.ndarray:
    """Mark pixels whose label is certain, of each label the most certain one at least.

    Args:
        posterior: probabilities by appearance [label height width].
        certainty: from which a pixel is marked.

    Returns:
        int32 [height width]: label + 1, 0 where nothing is certain. A label that is nowhere the
        most probable one has no marker.

    >>> posterior = np.array([[[0.9, 0.6, 0.3]], [[0.1, 0.4, 0.7]]])
    >>> markers_of(posterior, 0.8)
    array([[1, 0, 2]], dtype=int32)
    """
    best = posterior.argmax(axis=0)
    markers = np.where(posterior.max(axis=0) >= certainty, best + 1, 0).astype(np.int32)
    for label in np.unique(best):
        if not (markers == label + 1).any():
            place = np.unravel_index(
                np.where(best == label, posterior[label], -1).argmax(), best.shape
            )
            markers[place] = label + 1
    return markers


def seeds_of(certain: np.ndarray, view: np.ndarray, most: int) -> list[tuple[int, int]]:
    """Find a typical pixel of each connected component: that nearest to the component's median.

    Args:
        certain: bool [height width].
        view: intensities [height width].
        most: components, the largest first.

    >>> certain = np.array([[True, True, True, False, True]])
    >>> seeds_of(certain, np.array([[0.2, 0.5, 0.9, 0.1, 0.8]]), 5)
    [(0, 1), (0, 4)]
    """
    components, count = ndimage.label(certain)
    if not count:
        return []
    sizes = np.bincount(components.ravel(), minlength=count + 1)[1:]
    boxes = ndimage.find_objects(components)
    found = []
    for number in np.argsort(-sizes, kind="stable")[:most] + 1:
        rows, columns = boxes[number - 1]
        inside = components[rows, columns] == number
        values = view[rows, columns]
        away = np.where(inside, np.abs(values - np.median(values[inside])), np.inf)
        row, column = np.unravel_index(away.argmin(), away.shape)
        found.append((rows.start + int(row), columns.start + int(column)))
    return found
