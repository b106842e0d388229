"""Common region and continuity: evidence spreads over the image, but not across its edges."""

import numpy as np
from scipy.sparse import csr_array, diags_array
from scipy.sparse.linalg import cg

from episodes.errors import ModelError
from fewshot.refine.edges import Weights, edge_weights

_TOLERANCE, _MOST = 1e-5, 1000


def random_walker(probabilities: np.ndarray, image: np.ndarray, length: float) -> np.ndarray:
    """Smooth probabilities with a random walker that takes them as priors.

    (L + gamma I) x = gamma p for each label, with gamma = 1 / length². L is the Laplacian of the
    grid of pixels: L_ii = sum_j w_ij and L_ij = -w_ij, with w from `edge_weights`. x_i is the
    chance that a walker from pixel i, who prefers links of large weight and ends his walk at a
    pixel with a rate of gamma, ends with this label. In the paper gamma multiplies the diagonal
    matrix of the sums of the priors, which is I because probabilities sum to 1; for the same
    reason x sums to 1 and one label need not be solved for.

    Args:
        probabilities: [label height width], summing to 1.
        image: [channel height width].
        length: how far evidence is carried where there is no edge, in pixels; 0 changes nothing.

    Returns:
        float32 probabilities [label height width].

    Raises:
        ModelError: the solver does not converge, e.g. because a probability is NaN.

    Paper: Grady, Multilabel random walker image segmentation using prior models, CVPR 2005,
    equation 13; the weights are those of `edge_weights`.
    """
    if not length:
        return probabilities
    shape = probabilities.shape[1:]
    system = length**2 * laplacian(*edge_weights(image)) + diags_array(np.ones(shape[0] * shape[1]))
    inverse = diags_array(1 / system.diagonal())  # Jacobi's preconditioner
    found = np.empty(probabilities.shape, np.float32)
    for label, prior in enumerate(probabilities[1:].astype(np.float64), start=1):
        flat = prior.ravel()
        solved, failure = cg(
            system, flat, x0=flat, rtol=_TOLERANCE, atol=1e-8, maxiter=_MOST, M=inverse
        )
        if failure:
            raise ModelError(
                f"the random walker does not converge with a length of {length} pixels; "
                "choose a smaller walker_length"
            )
        found[label] = solved.reshape(shape)
    found = found.clip(0, 1)
    found[0] = (1 - found[1:].sum(axis=0)).clip(0, 1)
    return found


def laplacian(down: Weights, right: Weights) -> csr_array:
    """Build the Laplacian of a grid of pixels from the weights of its links.

    Args:
        down: [height-1 width], of the links to the pixel below.
        right: [height width-1], of the links to the pixel to the right.

    Returns:
        Sparse [pixel pixel], pixels in rows from the top left.
    """
    height, width = right.shape[0], down.shape[1]
    pixels = height * width
    across = np.zeros((height, width))
    across[:, :-1] = right
    links = np.zeros(pixels)
    links[: down.size] = down.ravel()
    sideways = across.ravel()[: pixels - 1]
    below = links[: pixels - width]
    if width == 1:  # the pixel below is also the next one
        sideways, below = below, below[:0]
    offsets = [(1, sideways), (width, below)]
    kept = [(offset, values) for offset, values in offsets if len(values)]
    if not kept:
        return csr_array((pixels, pixels))
    upper = diags_array(
        [values for _, values in kept],
        offsets=[offset for offset, _ in kept],
        shape=(pixels, pixels),
    )
    both = upper + upper.T
    return csr_array(diags_array(both.sum(axis=1)) - both)
