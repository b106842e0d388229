"""How far a model's probabilities may be believed: expected calibration error, subject by subject.

Nearly all pixels of a picture are background that nobody doubts, which makes any error look small.
So there are two figures: over all pixels, and over those near what is sought.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float, UInt8
from scipy import ndimage

from episodes.io.pixels import IGNORE
from fewshot.metrics.bootstrap import Interval, bootstrap_mean
from fewshot.metrics.calibration import Scores, calibration_counts, expected_calibration_error

NEAR = 10
"""How far from a class a pixel still is near it, in pixels."""


@dataclass
class Reliability:
    """Counts of `fewshot.metrics.calibration`, of each subject.

    Attributes:
        everywhere: of all known pixels.
        near: of those within `NEAR` pixels of a class.
    """

    everywhere: dict[str, Scores] = field(default_factory=dict)
    near: dict[str, Scores] = field(default_factory=dict)

    def add(
        self,
        subject: str,
        probabilities: Float[np.ndarray, "label height width"],
        truth: UInt8[np.ndarray, "height width"],
    ) -> None:
        """Count one query.

        Args:
            subject: whose picture it is.
            probabilities: of background and classes.
            truth: 0 background, 1 to way, 255 unknown.
        """
        known_class = (truth > 0) & (truth != IGNORE)
        close = np.full(truth.shape, IGNORE, np.uint8)
        if known_class.any():
            within = ndimage.distance_transform_edt(~known_class) <= NEAR
            close[within] = truth[within]
        for sums, labels in ((self.everywhere, truth), (self.near, close)):
            sums[subject] = sums.get(subject, 0.0) + calibration_counts(
                probabilities, labels, ignore_index=IGNORE
            )

    def error(self) -> Interval:
        """Mean over subjects of the expected calibration error, 0 to 1."""
        return _mean_error(self.everywhere)

    def error_near(self) -> Interval:
        """The same, of pixels near a class; subjects that show none are left out."""
        return _mean_error(self.near)


def _mean_error(sums: Mapping[str, Scores]) -> Interval:
    errors = {subject: expected_calibration_error(counts) for subject, counts in sums.items()}
    known = {subject: error for subject, error in errors.items() if not np.isnan(error)}
    return bootstrap_mean(list(known.values()), list(known))
