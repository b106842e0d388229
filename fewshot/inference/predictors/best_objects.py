"""The segmenter, of several, whose masks make the best objects of the annotated images."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from episodes.errors import DataError
from fewshot.inference.inputs import ImageStack
from fewshot.inference.instances.learned import LearnedObjects
from fewshot.inference.instances.look import look_of
from fewshot.inference.instances.predictor import InstancePredictor
from fewshot.inference.instances.value import Instances
from fewshot.inference.predictors.build import build_predictor, register_predictor
from fewshot.inference.result import Segmentation
from fewshot.inference.self_configuration.candidates import CANDIDATES
from fewshot.inference.settings import InstanceMethod
from fewshot.inference.support_set import SupportSet
from fewshot.models.network import FewShotNetwork

_MIXED = "self-configuring"
_SECONDS = 10  # with the default candidates


@dataclass(frozen=True)
class BestObjectsSettings:
    """What is tried.

    Attributes:
        candidates: predictors without a network, and methods of self-configuring.
        split: how objects of the masks are told apart, see `InstancePredictor`.
    """

    candidates: tuple[str, ...] = ("threshold", "pixel-forest", "perceptron")
    split: InstanceMethod = "distance"

    def __post_init__(self) -> None:
        if not self.candidates:
            raise DataError("candidates is empty; name at least one predictor or method")


@dataclass(frozen=True, eq=False)
class BestObjects(LearnedObjects):
    """What was learned.

    Attributes:
        chosen: candidate of each look of the annotated images.
        reached: Bowl score of every candidate on annotated images that it did not learn, 0 to 1,
            for each look.
    """

    chosen: Mapping[str, str]
    reached: Mapping[str, Mapping[str, float]]

    def describe(self) -> str:
        """Tell the choice and what it rests on, and how objects are told apart."""
        lines = []
        for look, name in self.chosen.items():
            where = f"{look} images: " if len(self.chosen) > 1 else ""
            tried = ", ".join(f"{each} {score:.2f}" for each, score in self.reached[look].items())
            lines.append(f"{where}segmented by {name} (Bowl score on annotated images: {tried})")
        return "\n".join([*lines, super().describe()])

    def record(self) -> dict[str, Any]:
        """Return the same as JSON values."""
        found = super().record()
        for look, name in self.chosen.items():
            found[look] |= {"segmented_by": name, "tried": dict(self.reached[look])}
        return found


@register_predictor("best-objects")
class BestObjectsPredictor:
    """Try several segmenters, and for each look of images take that with the best objects.

    Each is scored on annotated images, or halves of one, that it did not learn; of equal scores the
    first candidate's counts. The masks are those of which the objects are made.

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
        self.makers = {
            name: InstancePredictor(_built(name), self.settings.split)
            for name in self.settings.candidates
        }

    def cost(self, support_set: SupportSet) -> str:
        """Tell in a line what will be tried, and for about how long."""
        names, count = ", ".join(self.makers), sum(map(len, support_set.annotated_planes()))
        return (
            f"trying {names} on {count} annotated images, each as learned from the others (one: "
            f"each half from the other); with one image of 256 x 256 about {_SECONDS} s on 2 cores"
        )

    def learn(self, support_set: SupportSet) -> BestObjects:
        """Learn the objects with every candidate, and choose; see `Predictor`."""
        learned = {name: maker.learn(support_set) for name, maker in self.makers.items()}
        first = next(iter(learned.values()))
        reached = {
            look: {name: max(each.models[look].scores.values()) for name, each in learned.items()}
            for look in first.models
        }
        chosen = {look: max(scores, key=scores.__getitem__) for look, scores in reached.items()}
        models = {look: learned[name].models[look] for look, name in chosen.items()}
        return BestObjects(first.names, first.values, models, chosen, reached)

    def segment(self, image: ImageStack, support: BestObjects) -> Segmentation:
        """Segment with what was chosen for images of this look; see `Predictor`."""
        look = self._look(image, support)
        maker = self.makers[support.chosen[look]]
        return maker.predictor.segment(image, support.models[look].support)

    def instances(
        self, image: ImageStack, support: BestObjects, answer: Segmentation | None = None
    ) -> Instances:
        """Find the objects of an image, see `InstancePredictor.instances`."""
        maker = self.makers[support.chosen[self._look(image, support)]]
        return maker.instances(image, support, answer)

    def _look(self, image: ImageStack, support: BestObjects) -> str:
        look = look_of(image)
        return look if look in support.models else next(iter(support.models))


def _built(name: str) -> Any:
    if name in CANDIDATES:
        return build_predictor(None, _MIXED, {"method": (name,)})
    found = build_predictor(None, name)
    if getattr(found, "finds_objects", False):
        raise DataError(f"{name} finds objects by itself, and is no candidate; leave it out")
    return found
