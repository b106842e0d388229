"""Common region and continuity: evidence spreads over the image, but not across its edges."""

import torch
from jaxtyping import Float
from torch import Tensor

from episodes.errors import ModelError
from fewshot.inference.postprocessing.edge_weights import Links, edge_weights

_TOLERANCE, _MOST = 1e-3, 1000
"""Error of the solution, relative to the priors, and steps of the solver."""


def random_walker(
    probabilities: Float[Tensor, "slice label height width"],
    images: Float[Tensor, "slice channel height width"],
    length: float,
    *,
    contrast: float = 1.0,
    across: float = 0.0,
) -> Float[Tensor, "slice label height width"]:
    """Smooth probabilities with a random walker that takes them as priors.

    (I + L) x = p for each label. L is the Laplacian of the grid of pixels: L_ii = sum_j l_ij and
    L_ij = -l_ij, where l_ij = length² w_ij within a slice and across² w_ij between slices, with w
    from `edge_weights`. x_i is the chance that a walker from pixel i, who prefers links of large
    weight and may stop anywhere, stops at this label. The paper has gamma = 1 / length² times the
    diagonal matrix of the sums of the priors, which is I because probabilities sum to 1; for the
    same reason x sums to 1 and one label need not be solved for.

    Args:
        probabilities: probabilities, summing to 1 over the labels.
        images: of the same slices.
        length: how far evidence is carried within a slice where there is no edge, in pixels.
        contrast: how much an edge holds it up, see `edge_weights`.
        across: how far evidence is carried from slice to slice, in slices; 0 leaves each slice to
            itself.

    Returns:
        Probabilities.

    Raises:
        ModelError: the solver does not converge, e.g. because a probability is NaN.

    Paper: Grady, Multilabel random walker image segmentation using prior models, CVPR 2005,
    equation 13; the weights are those of `edge_weights`.
    """
    if not length and not across:
        return probabilities
    system = _System(edge_weights(images.float(), contrast), length, across)
    solved = [_solve(system, prior) for prior in probabilities[:, 1:].float().unbind(dim=1)]
    found = torch.stack(solved, dim=1).clamp(0, 1).to(probabilities)
    return torch.cat([(1 - found.sum(dim=1, keepdim=True)).clamp(min=0), found], dim=1)


_ALL, _FRONT, _BACK = slice(None), slice(None, -1), slice(1, None)
_ENDS = (
    ((_ALL, _FRONT, _ALL), (_ALL, _BACK, _ALL)),
    ((_ALL, _ALL, _FRONT), (_ALL, _ALL, _BACK)),
    ((_FRONT, _ALL, _ALL), (_BACK, _ALL, _ALL)),
)
"""Both ends of the links down, to the right and across, in [slice height width]."""


class _System:
    """I + L, held as its diagonal and its links.

    Args:
        weights: of the links.
        length, across: see `random_walker`.
    """

    def __init__(self, weights: Links, length: float, across: float) -> None:
        shape = (len(weights.down), weights.right.shape[1], weights.down.shape[2])
        self.diagonal = weights.down.new_ones(shape)
        self.links = []
        strengths = (length**2, length**2, across**2)
        for (one, other), found, strength in zip(_ENDS, weights, strengths, strict=True):
            if strength and found.numel():
                link = strength * found
                self.diagonal[one] += link
                self.diagonal[other] += link
                self.links.append((one, other, link))

    def times(self, x: Float[Tensor, "slice height width"]) -> Float[Tensor, "slice height width"]:
        product = self.diagonal * x
        for one, other, link in self.links:
            product[one].addcmul_(link, x[other], value=-1)
            product[other].addcmul_(link, x[one], value=-1)
        return product


def _solve(
    system: _System, prior: Float[Tensor, "slice height width"]
) -> Float[Tensor, "slice height width"]:
    """Conjugate gradients with Jacobi's preconditioner.

    Slices that no link joins are solved together all the same: that is one system with blocks.
    """
    inverse = 1 / system.diagonal
    found = prior.clone()
    residual = prior - system.times(found)
    scaled = inverse * residual
    direction = scaled.clone()
    energy = (residual * scaled).sum()
    goal = _TOLERANCE**2 * (prior * inverse * prior).sum()
    for _ in range(_MOST):
        if energy <= goal:
            return found
        product = system.times(direction)
        step = energy / (direction * product).sum()
        found += step * direction
        residual -= step * product
        torch.mul(inverse, residual, out=scaled)
        before, energy = energy, (residual * scaled).sum()
        direction = torch.addcmul(scaled, energy / before, direction)
    raise ModelError(
        f"the random walker does not converge in {_MOST} steps; choose a smaller walker_length, "
        "and check that no probability is NaN"
    )
