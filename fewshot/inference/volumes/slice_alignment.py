"""How far one volume has to be shifted along its axis to lie on another: by appearance alone.

Bodies have nearly one size; what differs between scans is mostly where they begin and end. So two
volumes are laid over each other by a single number, a shift: for each possible one the features of
the slices that come to lie on each other are compared, and a weak prior draws the volumes' middles
together. One number for a whole volume is far steadier than a position for every slice.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from episodes.errors import DataError
from fewshot.numerics import unit_rows

SHIFT_PENALTY = 0.005
"""Cost of a slice of shift, in cosine distance; 0.002 to 0.01 did alike on abdominal MRI."""
_OVERLAP = 1 / 3  # of the shorter volume, which has to lie on the other one
_FLOOR = 1e-6


@dataclass(frozen=True)
class FeatureStandardizer:
    """Mean and spread of features over many slices: what all slices share says nothing.

    Attributes:
        mean, spread: float64 [feature].
    """

    mean: np.ndarray
    spread: np.ndarray

    @staticmethod
    def of(volumes: Sequence[np.ndarray]) -> "FeatureStandardizer":
        """Measure features of volumes, [slice feature] each.

        Raises:
            DataError: there is no slice.
        """
        if not sum(map(len, volumes)):
            raise DataError("no slice to measure the features of; expected at least one")
        rows = np.concatenate(volumes).astype(np.float64)
        return FeatureStandardizer(rows.mean(axis=0), rows.std(axis=0) + _FLOOR)

    def __call__(self, features: np.ndarray) -> np.ndarray:
        """Centre and scale features, and bring them to unit length."""
        return unit_rows((features - self.mean) / self.spread)


def align_slices(
    query: np.ndarray,
    support: np.ndarray,
    scale: FeatureStandardizer,
    *,
    spacing: tuple[float, float] = (1.0, 1.0),
    prior: float = SHIFT_PENALTY,
) -> np.ndarray:
    """Place the slices of a query volume among those of a support volume.

    Args:
        query, support: pooled features of both volumes, [slice feature].
        scale: of the features, from training volumes or from these two.
        spacing: distance of slices in the query and in the support volume, in one unit.
        prior: cost of one support slice of shift away from laying middle on middle.

    Returns:
        The place of every query slice in slices of the support volume, float64 [query]; it may lie
        outside of it.

    Raises:
        DataError: a volume is empty or a spacing is not positive.

    Example:
        The query volume shows slices 2 to 4 of the support volume.

        >>> slices = np.eye(7)
        >>> align_slices(slices[2:5], slices, FeatureStandardizer.of([slices])).tolist()
        [2.0, 3.0, 4.0]
    """
    if not len(query) or not len(support) or min(spacing) <= 0:
        raise DataError(
            f"volumes of {len(query)} and {len(support)} slices, spacing {spacing}; expected at "
            "least one slice each, and distances above 0"
        )
    far = 1 - scale(query) @ scale(support).T
    correspondences = np.arange(len(query)) * spacing[0] / spacing[1]
    middle = (len(support) - 1 - correspondences[-1]) / 2
    least = max(1.0, _OVERLAP * min(len(query), len(support) * spacing[1] / spacing[0]))
    best, chosen = np.inf, middle
    for shift in np.arange(-int(np.ceil(correspondences[-1])), len(support)):
        nearest = np.round(correspondences + shift).astype(int)
        inside = (nearest >= 0) & (nearest < len(support))
        if inside.sum() < least:
            continue
        cost = far[inside, nearest[inside]].mean() + prior * abs(shift - middle)
        if cost < best:
            best, chosen = cost, float(shift)
    return correspondences + chosen
