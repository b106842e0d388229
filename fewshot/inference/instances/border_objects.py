"""Objects of a network that is trained once, on insides and rims of the annotated objects.

Paper: Caicedo et al., Nucleus segmentation across imaging experiments: the 2018 Data Science Bowl,
Nature Methods 2019 (a U-Net of interior, boundary and background).
"""

from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np

from episodes.errors import DataError
from episodes.io.pixels import IGNORE
from fewshot.inference.inputs import ImageStack
from fewshot.inference.instances.annotated import choose_splittings, sizes_of_classes
from fewshot.inference.instances.held_out import (
    ENOUGH,
    held_out_probabilities,
    parts_by_look,
    subset,
)
from fewshot.inference.instances.learned import LearnedObjects, ObjectModel
from fewshot.inference.instances.make import make_instances
from fewshot.inference.instances.rims import INSIDE, NAMES, RIM, rim_map
from fewshot.inference.instances.sizes import ObjectSizes
from fewshot.inference.instances.splitting import SplitMethod
from fewshot.inference.instances.value import Instances
from fewshot.inference.result import Segmentation
from fewshot.inference.settings import InstanceMethod
from fewshot.inference.support_set import SupportSet

_MANY = 10  # annotated images from which some are kept back, and nothing is trained twice
_KEPT_BACK = 5  # every so many, but not more in all than choosing takes


def taught_rims(shots: SupportSet, method: SplitMethod, sizes: ObjectSizes) -> SupportSet:
    """The annotated images with insides and rims of their objects for labels."""
    assert shots.objects is not None  # checked by the caller
    maps = tuple(
        np.where(known == IGNORE, np.uint8(IGNORE), rim_map(each, method, sizes.radius))
        for each, known in zip(shots.objects, shots.maps, strict=True)
    )
    return replace(shots, maps=maps, names=NAMES, values=(INSIDE, RIM))


def with_borders(predictor: Any, shots: SupportSet, method: InstanceMethod | None) -> Any:
    """Have a network that takes minutes to train learn borders alone, where objects are numbered.

    Args:
        predictor: any; others are given back as they are.
        shots: annotated images.
        method: how objects are split; None where none are wanted.
    """
    slow = getattr(predictor, "learns_slowly", False) and shots.objects is not None
    return BorderObjectsPredictor(predictor) if slow and method in ("auto", "border") else predictor


@dataclass(frozen=True, eq=False)
class BorderObjects(LearnedObjects):
    """What was learned.

    Attributes:
        kept_back: how many annotated images the objects were chosen on and nothing was trained on;
            0 where parts of all of them were left out in turn.
    """

    kept_back: int

    def describe(self) -> str:
        """Tell what was chosen, and on what."""
        on = f"{self.kept_back} of them, which were kept back" if self.kept_back else "each in turn"
        return f"{super().describe()}\nannotated images that the network did not learn: {on}"


class BorderObjectsPredictor:
    """Teaches a predictor insides and rims, and grows objects from the insides.

    Other than `InstancePredictor`, nothing else is learned: the class is what is inside or rim. It
    is made for networks whose training takes minutes.

    Args:
        predictor: any `Predictor` that does not find objects by itself, with its settings.
    """

    whole_volumes: ClassVar[bool] = False
    needs_network: ClassVar[bool] = False
    finds_objects: ClassVar[bool] = True
    grown_by: ClassVar[SplitMethod] = "border"

    def __init__(self, predictor: Any) -> None:
        self.predictor, self.settings = predictor, predictor.settings
        self._last: tuple[ImageStack, Any, Segmentation] | None = None

    def cost(self, support_set: SupportSet) -> str:
        """Tell in a line what will be trained."""
        told = self.predictor.cost(support_set) if hasattr(self.predictor, "cost") else "learning"
        count = len(support_set.pictures)
        return told if count >= _MANY else f"{told}, three times, to choose how objects grow"

    def learn(self, support_set: SupportSet) -> BorderObjects:
        """Train, and choose how objects are grown; see `Predictor`.

        Raises:
            DataError: no objects are numbered.
        """
        if support_set.objects is None:
            raise DataError("insides and rims are learned from numbered objects; number them")
        sizes = sizes_of_classes(support_set)
        taught, count = taught_rims(support_set, "border", sizes[0]), len(support_set.pictures)
        step = max(_KEPT_BACK, -(-count // ENOUGH))
        kept_back = list(range(count))[::step] if count >= _MANY else []
        if kept_back:
            rest = [place for place in range(count) if place not in kept_back]
            support = self.predictor.learn(subset(taught, rest))
            support_set = subset(support_set, kept_back)
            answers = [
                self.predictor.segment(picture, support).probabilities.astype(np.float32)
                for picture in support_set.pictures
            ]
        else:
            answers = held_out_probabilities(self.predictor, taught)
            support = self.predictor.learn(taught)
        models = {}
        known = dict(zip(map(id, support_set.pictures), answers, strict=True))
        for look, part in parts_by_look(support_set).items():
            chances = [known[id(picture)] for picture in part.pictures]
            found, insides = map(_merged, chances), [chance[INSIDE] for chance in chances]
            splittings, reached = choose_splittings("border", part, sizes, list(found), insides)
            models[look] = ObjectModel(support, support, splittings, sizes, {"border": reached})
        return BorderObjects(support_set.names, support_set.values, models, len(kept_back))

    def segment(self, image: ImageStack, support: BorderObjects) -> Segmentation:
        """Segment the class; see `Predictor`."""
        raw = self._raw(image, support)
        chance = _merged(raw.probabilities.astype(np.float32))
        return replace(
            raw,
            labels=chance.argmax(axis=0).astype(np.uint8),
            probabilities=chance.astype(np.float16),
            class_names=support.names,
            values=support.values,
        )

    def instances(
        self, image: ImageStack, support: BorderObjects, answer: Segmentation | None = None
    ) -> Instances:
        """Find the objects of an image.

        Args:
            image: of which the selected planes are segmented.
            support: of `learn`.
            answer: of `segment`, where it is there already.
        """
        look = support.look_for(image)[0]  # one network for all looks, so that none is a doubt
        found = self.segment(image, support) if answer is None else answer
        insides = self._raw(image, support).probabilities[INSIDE].astype(np.float32)
        return make_instances(found, insides, support, support.models[look], found.doubt)

    def _raw(self, image: ImageStack, support: BorderObjects) -> Segmentation:
        """Insides and rims; those of the last image are kept, as its objects come next."""
        learned = next(iter(support.models.values())).support  # one network for all looks
        if self._last is None or self._last[0] is not image or self._last[1] is not learned:
            self._last = image, learned, self.predictor.segment(image, learned)
        return self._last[2]


def _merged(chance: np.ndarray) -> np.ndarray:
    """Probabilities of background and class of those of background, inside and rim."""
    return np.stack([chance[0], chance[INSIDE] + chance[RIM]])
