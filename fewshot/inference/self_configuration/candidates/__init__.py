"""Methods that a self-configuring segmenter tries, one contract: `fit` on shots, then `log_odds`.

Each name of `CANDIDATES` is one way to label a query from a few annotated planes; all scores are
log odds, so that they can be added. A further candidate is one further entry.
"""

from collections.abc import Mapping

from fewshot.inference.self_configuration.candidates.base import Candidate, Fitted
from fewshot.inference.self_configuration.candidates.classifiers import (
    Classifier,
    deep_view,
    forest,
    logistic,
    pixel_view,
)
from fewshot.inference.self_configuration.candidates.neighbours import Neighbours
from fewshot.inference.self_configuration.candidates.place import Place
from fewshot.inference.self_configuration.views import COARSE, FINE, Level


def _levels(side: int, lite: tuple[int, ...], xfeat: bool) -> tuple[Level, ...]:
    known = tuple(Level("lite", stride, side) for stride in lite)
    return (*known, Level("xfeat", 8, side)) if xfeat else known


CANDIDATES: Mapping[str, Candidate] = {
    "neighbours-256": Neighbours(_levels(COARSE, (8, 16), xfeat=True)),
    "neighbours-256-fine": Neighbours(_levels(COARSE, (4, 8, 16), xfeat=True)),
    "neighbours-512": Neighbours(_levels(FINE, (8, 16), xfeat=True)),
    "pixel-forest": Classifier(pixel_view, forest),
    "deep-logistic": Classifier(deep_view, logistic),
    "place": Place(),
}
"""By name: nearest neighbours at two sides and grids, trees and a linear model, and the place."""

__all__ = ["CANDIDATES", "Candidate", "Fitted"]
