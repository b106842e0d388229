"""How strongly neighbouring pixels belong together: little across an edge of the image."""

import numpy as np
from numpy.typing import NDArray

Weights = NDArray[np.float64]


def edge_weights(image: np.ndarray) -> tuple[Weights, Weights]:
    """Weigh the links between neighbours by the contrast between them.

    w_ij = exp(-|I_i - I_j|² / 2 m), m being the mean of |I_i - I_j|² over all links: contrast is
    judged by what is usual in this image, so that its range plays no part.

    Args:
        image: [channel height width], any range.

    Returns:
        Weights in 0..1 of the links to the pixel below [height-1 width] and to the right
        [height width-1]; 1 everywhere for an even image.

    >>> down, right = edge_weights(np.array([[[0.0, 0.0, 1.0]]]))
    >>> right.round(3)
    array([[1.   , 0.368]])

    Paper: Rother et al., GrabCut, SIGGRAPH 2004, equations 4 and 5.
    """
    pixels = np.asarray(image, np.float64)
    down, right = ((np.diff(pixels, axis=axis) ** 2).sum(axis=0) for axis in (1, 2))
    links = down.size + right.size
    mean = (down.sum() + right.sum()) / links if links else 0.0
    if mean == 0:
        return np.ones_like(down), np.ones_like(right)
    return np.exp(-down / (2 * mean)), np.exp(-right / (2 * mean))
