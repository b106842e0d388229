"""Gaussian mixtures of the colours of each label, and Bayes' rule.

Paper: Dempster, Laird and Rubin, Maximum likelihood from incomplete data via the EM algorithm,
1977.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from fewshot.baselines.appearance import (
    Appearance,
    AppearanceSettings,
    Seen,
    fit_appearance,
    log_likelihoods,
)
from fewshot.baselines.search import Values
from fewshot.baselines.searched_predictor import Annotated, SearchedPredictor
from fewshot.inference.predictors.build import register_predictor


@dataclass(frozen=True)
class GaussianMixtureSettings(AppearanceSettings):
    """What is tried; `components` is replaced by the counts.

    Attributes:
        counts: of the components of each label.
        weights: of the classes against the background; above 1 more is found.
    """

    counts: tuple[int, ...] = (1, 3, 6)
    weights: tuple[float, ...] = (1.0, 0.5, 2.0, 5.0)


@register_predictor("gaussian-mixture")
class GaussianMixturePredictor(SearchedPredictor[Mapping[int, Appearance]]):
    """Fit a mixture to the colours of each label (`sklearn.mixture.GaussianMixture`).

    Labels follow by Bayes' rule with the shares of the annotated areas. Chosen on the annotated
    images are the number of components and the weight of the classes.
    """

    Settings: ClassVar = GaussianMixtureSettings
    searched: ClassVar = ("counts", "weights")

    def learn_from(self, images: Sequence[Annotated], ways: int) -> Mapping[int, Appearance]:
        """Fit the mixtures of every number of components."""
        chosen = self.settings
        return {
            count: fit_appearance(images, ways, replace(chosen, components=count))
            for count in chosen.counts
        }

    def label(
        self, seen: np.ndarray, learned: Mapping[int, Appearance], values: Values
    ) -> np.ndarray:
        """Posterior probabilities."""
        found = Seen(seen, log_likelihoods(seen, learned[values["counts"]]))
        return found.posterior(values["weights"])
