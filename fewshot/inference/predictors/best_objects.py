"""The mixture of several segmenters whose masks make the best objects of the annotated images."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any, ClassVar

import numpy as np

from episodes.errors import DataError
from fewshot.inference.inputs import ImageStack
from fewshot.inference.instances.annotated import choose_splittings, sizes_of_classes
from fewshot.inference.instances.held_out import enough, held_out_probabilities, parts_by_look
from fewshot.inference.instances.learned import LearnedObjects, ObjectModel
from fewshot.inference.instances.make import make_instances
from fewshot.inference.instances.value import Instances
from fewshot.inference.predictors.build import build_predictor, register_predictor
from fewshot.inference.result import Segmentation
from fewshot.inference.self_configuration.candidates import CANDIDATES
from fewshot.inference.support_set import SupportSet
from fewshot.models.network import FewShotNetwork

_MIXED = "self-configuring"
_SECONDS = 10  # with the default candidates
_MARGIN = 0.005  # of the Bowl's score that a further candidate has to gain


@dataclass(frozen=True)
class BestObjectsSettings:
    """What is tried.

    Attributes:
        candidates: predictors without a network, and methods of self-configuring; that with the
            fewest parameters first, which takes part where one image of a look is annotated.
    """

    candidates: tuple[str, ...] = ("threshold", "pixel-forest", "perceptron")

    def __post_init__(self) -> None:
        if not 1 <= len(self.candidates) <= 5:
            raise DataError(
                f"{len(self.candidates)} candidates; expected 1 to 5 predictors or methods"
            )


@dataclass(frozen=True, eq=False)
class BestObjects(LearnedObjects):
    """What was learned.

    Attributes:
        reached: Bowl score of every mixture on annotated images that it did not learn, 0 to 1, for
            each look, with a threshold for all that was searched; `models` have what the chosen
            candidates learned.
    """

    reached: Mapping[str, Mapping[str, float]]

    def describe(self) -> str:
        """Tell the choice and what it rests on, and how objects are told apart."""
        lines = []
        for look, model in self.models.items():
            where = f"{look} images: " if len(self.models) > 1 else ""
            tried = ", ".join(f"{each} {score:.2f}" for each, score in self.reached[look].items())
            lines.append(f"{where}segmented by {_name(model.support)}, of what was tried: {tried}")
        return "\n".join([super().describe(), *lines])

    def record(self) -> dict[str, Any]:
        """Return the same as JSON values."""
        found = super().record()
        for look, model in self.models.items():
            found[look] |= {"segmented_by": list(model.support), "tried": dict(self.reached[look])}
        return found


@register_predictor("best-objects")
class BestObjectsPredictor:
    """Average the probabilities of those segmenters whose objects are best, for each look of image.

    Every candidate, and every mean of some of them, is scored by the objects of annotated images,
    or halves of one, that were not learned; a mean of more has to be better by a margin. The masks
    are those of which the objects are made, which are split by distance.

    Args:
        network: ignored; it is in the contract of predictors.
        settings: by default those of `BestObjectsSettings`.
    """

    Settings: ClassVar = BestObjectsSettings
    whole_volumes: ClassVar[bool] = False
    needs_network: ClassVar[bool] = False
    finds_objects: ClassVar[bool] = True

    def __init__(
        self, network: FewShotNetwork | None = None, settings: BestObjectsSettings | None = None
    ) -> None:
        self.settings = settings or BestObjectsSettings()
        self.candidates: dict[str, Any] = {n: _built(n) for n in self.settings.candidates}

    def cost(self, support_set: SupportSet) -> str:
        """Tell in a line what will be tried, and for about how long."""
        names, count = ", ".join(self.candidates), sum(map(len, support_set.annotated_planes()))
        return (
            f"trying {names} on {count} annotated images, each as learned from the others (one: "
            f"each half from the other); with one image of 256 x 256 about {_SECONDS} s on 2 cores"
        )

    def learn(self, support_set: SupportSet) -> BestObjects:
        """Learn with every candidate, and choose; see `Predictor`."""
        models, reached = {}, {}
        for look, part in parts_by_look(support_set).items():
            models[look], reached[look] = self._choose(part)
        return BestObjects(support_set.names, support_set.values, models, reached)

    def segment(self, image: ImageStack, support: BestObjects) -> Segmentation:
        """Segment with what was chosen for images of this look; see `Predictor`."""
        look, _ = support.look_for(image)
        answers = [
            self.candidates[name].segment(image, learned)
            for name, learned in support.models[look].support.items()
        ]
        if len(answers) == 1:
            return answers[0]
        chance = _mean([each.probabilities.astype(np.float32) for each in answers])
        return replace(
            answers[0],
            labels=chance.argmax(axis=0).astype(np.uint8),
            probabilities=chance.astype(np.float16),
            query_support_similarity=None,
            expected_dice=None,
        )

    def instances(
        self, image: ImageStack, support: BestObjects, answer: Segmentation | None = None
    ) -> Instances:
        """Find the objects of an image.

        Args:
            image: of which the selected planes are segmented.
            support: of `learn`.
            answer: of `segment`, where it is there already.
        """
        look, doubt = support.look_for(image)
        found = self.segment(image, support) if answer is None else answer
        return make_instances(found, None, support, support.models[look], doubt or found.doubt)

    def _choose(self, shots: SupportSet) -> tuple[ObjectModel, dict[str, float]]:
        """Learn images of one look; give the best mixture, and the score of every one."""
        learned = {name: each.learn(shots) for name, each in self.candidates.items()}
        tried = enough(shots)
        held_out = {
            name: held_out_probabilities(each, tried, learned[name])
            for name, each in self.candidates.items()
        }
        sizes = sizes_of_classes(shots)
        found, scores = {}, {}
        single = len(shots.pictures) == 1
        for names in _mixtures(list(learned)):
            if single and next(iter(learned)) not in names:
                continue  # halves of one image are too alike for what has many parameters
            found[names] = [_mean(each) for each in zip(*(held_out[n] for n in names), strict=True)]
            _, reached = choose_splittings("distance", tried, sizes, found[names], threshold=True)
            scores[_name(names)] = reached
        best = max(found, key=lambda names: scores[_name(names)] - _MARGIN * len(names))
        splittings, reached = choose_splittings("distance", tried, sizes, found[best])
        support = {name: learned[name] for name in best}
        return ObjectModel(support, None, splittings, sizes, {"distance": reached}), scores


def _mixtures(names: Sequence[str]) -> Iterator[tuple[str, ...]]:
    """Give all subsets but the empty one, the small ones first."""
    for count in range(1, len(names) + 1):
        yield from combinations(names, count)


def _name(names: Sequence[str] | Mapping[str, Any]) -> str:
    return " + ".join(names)


def _mean(probabilities: Sequence[np.ndarray]) -> np.ndarray:
    return np.mean(np.stack(probabilities), axis=0)


def _built(name: str) -> Any:
    if name in CANDIDATES:
        return build_predictor(None, _MIXED, {"method": (name,)})
    found = build_predictor(None, name)
    if getattr(found, "finds_objects", False):
        raise DataError(f"{name} finds objects by itself, and is no candidate; leave it out")
    return found
