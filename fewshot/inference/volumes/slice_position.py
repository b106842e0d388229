"""Where in the body a slice lies, learned without annotation: from a slice's place in its volume.

The teacher is the relative place of a slice in its own training volume, (z + 1/2) / depth. It is
wrong by as much as scans begin and end elsewhere, but those errors differ from volume to volume
and average out: what a ridge regression on pooled features learns is where such a picture lies in
a typical volume. Two slices that look alike are then at one position, whatever the ends of their
volumes. With few volumes `fewshot.inference.volumes.slice_alignment` is better (docs/matching.md).
All volumes have to run in the same direction.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy import linalg, optimize
from torch import Tensor
from torch.nn import functional

from episodes.errors import DataError

CELLS = 4
STRENGTHS = (1e-3, 1e-2, 1e-1, 1.0, 10.0)
"""Ridge strengths tried by `fit_best_positions`."""


def grid_pooled_features(
    features: Float[Tensor, "batch channel rows columns"], cells: int = CELLS
) -> Float[Tensor, "batch feature"]:
    """Average feature maps over a grid of cells, which keeps roughly what is where.

    Args:
        features: of an encoder; those of several scales concatenated.
        cells: of the grid, along each side.

    Returns:
        cells² · channel numbers an image.
    """
    return functional.adaptive_avg_pool2d(features.float(), cells).flatten(1)


def relative_slice_position(depth: int) -> np.ndarray:
    """Relative places of the slices of a volume, float64 [slice], from 0 to 1.

    >>> relative_slice_position(4).tolist()
    [0.125, 0.375, 0.625, 0.875]
    """
    return (np.arange(depth) + 0.5) / max(1, depth)


@dataclass(frozen=True)
class PositionModel:
    """A linear map from pooled features to a position.

    Attributes:
        weights: float64 [feature].
        offset: added.
        strength: of the ridge.
    """

    weights: np.ndarray
    offset: float
    strength: float

    def predict(self, features: np.ndarray) -> np.ndarray:
        """Predict positions slice by slice, float64 [slice], about 0 to 1."""
        return np.asarray(features, np.float64) @ self.weights + self.offset

    def volume(self, features: np.ndarray) -> np.ndarray:
        """Predict the positions of the slices of one volume, made to rise along it."""
        return isotonic_positions(self.predict(features))


def fit_positions(volumes: Sequence[np.ndarray], strength: float = 0.1) -> PositionModel:
    """Fit positions by ridge regression, in closed form; every volume weighs the same.

    Args:
        volumes: pooled features of the slices of each training volume, [slice feature].
        strength: of the ridge, relative to the mean squared length of a centred feature vector.

    Raises:
        DataError: no volume has two slices, or the strength is not positive.
    """
    used = [np.asarray(volume, np.float64) for volume in volumes if len(volume) > 1]
    if not used or strength <= 0:
        raise DataError(
            f"{len(used)} volumes of two or more slices and a strength of {strength}; expected at "
            "least one, and a positive strength"
        )
    features = np.concatenate(used)
    targets = np.concatenate([relative_slice_position(len(volume)) for volume in used])
    share = np.concatenate([np.full(len(volume), 1 / len(volume)) for volume in used]) / len(used)
    centre, middle = share @ features, float(share @ targets)
    root = np.sqrt(share)[:, None]
    rows, aims = root * (features - centre), root[:, 0] * (targets - middle)
    ridge = strength * float((rows**2).sum()) / len(rows) + 1e-12
    # There are fewer slices than features, so the small one of two equal systems is solved.
    dual = linalg.solve(rows @ rows.T + ridge * np.eye(len(rows)), aims, assume_a="pos")
    weights = rows.T @ dual
    return PositionModel(weights, middle - float(centre @ weights), strength)


def fit_best_positions(
    volumes: Sequence[np.ndarray], strengths: Sequence[float] = STRENGTHS, parts: int = 4
) -> PositionModel:
    """Fit positions with the strength that predicts volumes best that were left out.

    Args:
        volumes: see `fit_positions`; volume i is left out in part i mod `parts`.
        strengths: to choose from.
        parts: of the volumes; at most as many as there are volumes.

    Raises:
        DataError: fewer than two volumes.
    """
    parts = min(parts, len(volumes))
    if parts < 2:
        raise DataError(f"{len(volumes)} volumes; expected at least two to choose a strength")
    errors = []
    for strength in strengths:
        misses = []
        for part in range(parts):
            rest = [volume for i, volume in enumerate(volumes) if i % parts != part]
            model = fit_positions(rest, strength)
            misses += [
                np.abs(model.volume(volume) - relative_slice_position(len(volume))).mean()
                for volume in volumes[part::parts]
            ]
        errors.append(float(np.mean(misses)))
    return fit_positions(volumes, strengths[int(np.argmin(errors))])


def isotonic_positions(positions: np.ndarray) -> np.ndarray:
    """Replace positions by the nearest ones that never fall (isotonic regression).

    >>> isotonic_positions(np.array([0.1, 0.5, 0.3, 0.9])).tolist()
    [0.1, 0.4, 0.4, 0.9]
    """
    values = np.asarray(positions, np.float64)
    return optimize.isotonic_regression(values).x if values.size else values
