"""Match, then segment: find the annotated image or slice that fits a query best, segment with it.

`RetrievedSupportPredictor` is a `fewshot.evaluation.confusion_counts.CasePredictor`. Its plans
name every annotated slice of a support volume and every slice of a query volume, both in order
(`whole_volumes` makes such cases out of `full_volume`); a rule gives the cost of every pair, from
which supports are chosen. All rules but the two oracles are blind to the query's truth.
"""

from collections.abc import Callable

import numpy as np

from episodes.sampling.episode import Plan
from fewshot.baselines.copy_mask import paste
from fewshot.evaluation.catalog_stacks import CatalogStacks
from fewshot.evaluation.confusion_counts import GroundTruth
from fewshot.evaluation.protocol_predictor import ProtocolPredictor
from fewshot.inference.postprocessing.settings import PostprocessSettings
from fewshot.inference.predictors.feature_predictor import Assignment
from fewshot.inference.predictors.slice import AssignedSlicePredictor, SliceSettings
from fewshot.inference.slice_features import SliceFeatures
from fewshot.inference.volumes.slice_alignment import (
    SHIFT_PENALTY,
    FeatureStandardizer,
    align_slices,
)
from fewshot.inference.volumes.slice_assignment import assign_supports
from fewshot.inference.volumes.slice_position import (
    PositionModel,
    grid_pooled_features,
    isotonic_positions,
    relative_slice_position,
)
from fewshot.models.network import FewShotNetwork
from fewshot.numerics import unit_rows

Rule = Callable[[Plan], np.ndarray]
"""Costs of the supports of the first way for the queries of a plan, float [query support]."""


class RetrievedSupportPredictor(ProtocolPredictor):
    """Choose supports for every query by a rule, and segment with them.

    Args:
        truth: where the support's masks come from.
        network: in evaluation mode.
        rule: what a pair of support and query costs; of this object's own features where it is
            `appearance` or `learned_position`.
        top: how many supports a query; their probabilities are averaged.
        ordered: whether the chosen supports must follow the order of the query volume.
        postprocess: steps that follow the head; by default none.
    """

    def __init__(
        self,
        truth: GroundTruth,
        network: FewShotNetwork,
        rule: Rule,
        *,
        top: int = 1,
        ordered: bool = False,
        postprocess: PostprocessSettings | None = None,
    ) -> None:
        settings = SliceSettings(postprocess or PostprocessSettings(), "probabilities")
        super().__init__(truth, AssignedSlicePredictor(network, settings))
        self.rule, self.top, self.ordered = rule, top, ordered

    def assignment(self, plan: Plan) -> Assignment:
        """Name the supports that the rule chooses for each query."""
        chosen = assign_supports(self.rule(plan), self.top, ordered=self.ordered)
        return [[(place,) for place in places] for places in chosen.tolist()]


class Pooled:
    """Pooled features of samples, computed once each.

    Args:
        truth: of the catalog.
        network: whose encoder is used.
    """

    def __init__(self, truth: GroundTruth, network: FewShotNetwork) -> None:
        self._stacks, self._features = CatalogStacks(truth), SliceFeatures(network.eval(), 1)
        self._vectors: dict[str, np.ndarray] = {}

    def __call__(self, keys: tuple[str, ...]) -> np.ndarray:
        """Pooled features of some samples, float32 [sample feature]."""
        for key in keys:
            if key not in self._vectors:
                self._vectors[key] = self._pool(key)
        return np.stack([self._vectors[key] for key in keys])

    def _pool(self, key: str) -> np.ndarray:
        stack = self._stacks.file((key,))
        maps = self._features(stack, stack.chosen[0])[None]
        return grid_pooled_features(maps)[0].cpu().numpy()


def proportional_place(plan: Plan) -> np.ndarray:
    """Cost of a pair: how far apart the relative places in their volumes are, 0 to 1."""
    positions = (
        relative_slice_position(len(plan.query)),
        relative_slice_position(len(plan.support[0])),
    )
    return np.abs(np.subtract.outer(*positions))


def at_random(seed: int) -> Rule:
    """Costs drawn at random: any support, the same one for the same plan and seed."""

    def rule(plan: Plan) -> np.ndarray:
        generator = np.random.default_rng((seed, plan.index))
        return generator.random((len(plan.query), len(plan.support[0])))

    return rule


def appearance(pooled: Pooled, weight: float = 1.0, place: Rule = proportional_place) -> Rule:
    """Cost of a pair: the cosine distance of pooled features, and a prior of the place.

    Args:
        pooled: where the features come from.
        weight: of the prior, which is added.
        place: the prior, in lengths of a volume: `proportional_place` or `aligned`.
    """

    def rule(plan: Plan) -> np.ndarray:
        far = cosine_distances(pooled(plan.query), pooled(plan.support[0]))
        return far + weight * place(plan)

    return rule


def cosine_distances(queries: np.ndarray, supports: np.ndarray) -> np.ndarray:
    """Cosine distances of feature vectors, 0 to 2: float64 [query support]."""
    return 1 - (unit_rows(queries) @ unit_rows(supports).T).astype(np.float64)


def learned_position(pooled: Pooled, model: PositionModel) -> Rule:
    """Cost of a pair: how far apart the predicted positions in the body are.

    Args:
        pooled: where the features come from.
        model: fitted on training volumes.
    """

    def rule(plan: Plan) -> np.ndarray:
        positions = [
            isotonic_positions(model.predict(pooled(keys)))
            for keys in (plan.query, plan.support[0])
        ]
        return np.abs(np.subtract.outer(*positions))

    return rule


def aligned(
    pooled: Pooled, scale: FeatureStandardizer | None = None, prior: float = SHIFT_PENALTY
) -> Rule:
    """Cost of a pair: how far apart slices are once the volumes are laid over each other.

    It is counted in lengths of the support volume.

    Args:
        pooled: where the features come from.
        scale: of the features, from training volumes; by default from the two volumes.
        prior: see `fewshot.inference.volumes.slice_alignment.align_slices`.
    """

    def rule(plan: Plan) -> np.ndarray:
        query, support = pooled(plan.query), pooled(plan.support[0])
        positions = align_slices(
            query, support, scale or FeatureStandardizer.of([query, support]), prior=prior
        )
        return np.abs(np.subtract.outer(positions, np.arange(len(support)))) / len(support)

    return rule


def oracle_overlap(truth: GroundTruth) -> Rule:
    """Cost of a pair: 1 - Dice of the support's mask, pasted, with the query's truth.

    Where both are empty the cost is 0, where one is, 1. It looks at the truth: a bound, no method.
    """

    def rule(plan: Plan) -> np.ndarray:
        name = plan.classes[0]
        masks = [truth.mask(key, name) == 1 for key in plan.support[0]]
        costs = np.zeros((len(plan.query), len(masks)))
        for row, key in enumerate(plan.query):
            real = truth.mask(key, name) == 1
            for column, mask in enumerate(masks):
                pasted = paste(mask.astype(np.uint8), real.shape) == 1
                total = pasted.sum() + real.sum()
                costs[row, column] = 1 - 2 * (pasted & real).sum() / total if total else 0.0
        return costs

    return rule


def oracle_position(truth: GroundTruth) -> Rule:
    """Cost of a pair: how far apart the places relative to the organ's ends are.

    0 is the organ's first slice, 1 its last; slices beyond are below 0 and above 1. It looks at
    the truth: a bound, no method. Where the query lacks the organ, places in the volume stand in.
    """

    def rule(plan: Plan) -> np.ndarray:
        name = plan.classes[0]
        positions = []
        for keys in (plan.query, plan.support[0]):
            shown = np.flatnonzero([(truth.mask(key, name) == 1).any() for key in keys])
            if not len(shown):
                return proportional_place(plan)
            length = shown[-1] - shown[0] + 1
            positions.append((np.arange(len(keys)) - shown[0] + 0.5) / length)
        return np.abs(np.subtract.outer(*positions))

    return rule
