"""Methods that a self-configuring segmenter tries, one contract: `fit` on shots, then `log_odds`.

Each name of `CANDIDATES` is one way to label a query from a few annotated planes; all scores are
log odds, so that they can be added. A further candidate is one further
entry here, and its prior in `fewshot.inference.self_configuration.configuration`.
"""

from collections.abc import Mapping

from fewshot.inference.self_configuration.candidates.base import Candidate, Fitted
from fewshot.inference.self_configuration.candidates.logistic import DeepLogistic
from fewshot.inference.self_configuration.candidates.neighbours import Neighbours
from fewshot.inference.self_configuration.candidates.perceptron import Perceptron
from fewshot.inference.self_configuration.candidates.place import Place
from fewshot.inference.self_configuration.views import COARSE, FINE, FeatureMap
from fewshot.models.encoder import OFFLINE
from fewshot.models.levels import XFEAT


def _maps(side: int, strides: tuple[int, ...]) -> tuple[FeatureMap, ...]:
    known = (FeatureMap(OFFLINE, stride, side) for stride in strides)
    return (*known, FeatureMap(XFEAT, 8, side))


_DEEP = (*_maps(FINE, (2, 4, 8, 16)), *_maps(COARSE, (8, 16)))
CANDIDATES: Mapping[str, Candidate] = {
    "neighbours-256": Neighbours(_maps(COARSE, (8, 16))),
    "neighbours-512": Neighbours(_maps(FINE, (8, 16))),
    "deep-logistic": DeepLogistic(_DEEP),
    "perceptron": Perceptron(_DEEP),
    "place": Place(),
}
"""By name: nearest neighbours at two sides, a linear and a nonlinear classifier, and the place."""

__all__ = ["CANDIDATES", "Candidate", "Fitted"]
