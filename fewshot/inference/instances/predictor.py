"""Objects with any segmenter: what is learned of annotated objects, and how it is chosen."""

from typing import Any

import numpy as np

from episodes.errors import DataError
from fewshot.inference.inputs import ImageStack
from fewshot.inference.instances.annotated import choose_splittings, sizes_of_classes
from fewshot.inference.instances.border_objects import taught_rims
from fewshot.inference.instances.detected import (
    DetectedObjects,
    finds_objects,
    learn_detected,
)
from fewshot.inference.instances.held_out import (
    enough,
    held_out_probabilities,
    parts_by_look,
    relearn,
)
from fewshot.inference.instances.learned import LearnedObjects, ObjectModel
from fewshot.inference.instances.make import make_instances
from fewshot.inference.instances.rims import INSIDE
from fewshot.inference.instances.splitting import SplitMethod, Splitting
from fewshot.inference.instances.value import Instances
from fewshot.inference.predictors.base import Predictor
from fewshot.inference.result import Segmentation
from fewshot.inference.settings import InstanceMethod
from fewshot.inference.support_set import SupportSet

TRIED: tuple[SplitMethod, ...] = ("distance", "border")
"""What "auto" tries on numbered objects; "seeds" was never better on the development images."""
_MARGIN = 0.01  # of the Bowl's score that learned rims have to gain over the distance


class InstancePredictor:
    """Makes numbered objects with a segmenter of classes.

    Where the annotated images have several looks (stained, bright, dark), each is learned by
    itself, and a query is compared with those that look like it.

    Args:
        predictor: any `Predictor`; it is taught several times, on parts of the annotated images,
            too. One that finds objects by itself is taught once.
        method: how objects that touch are split; "auto" takes what is best on annotated images.
    """

    def __init__(self, predictor: Predictor[Any], method: InstanceMethod = "auto") -> None:
        if method not in ("auto", "distance", "border", "seeds"):
            raise DataError(f"the method is {method!r}; expected auto, distance, border or seeds")
        self.predictor, self.method = predictor, method

    def learn(self, shots: SupportSet, support: Any = None) -> LearnedObjects:
        """Learn objects of annotated images.

        Args:
            shots: with `objects` where the masks number them; otherwise connected parts of a class
                are its objects, and touching ones cannot be told apart.
            support: what the predictor learned of them already.

        Raises:
            DataError: insides are to be learned, and no objects are numbered.
        """
        if self.method in ("border", "seeds") and shots.objects is None:
            raise DataError(
                f"--instances {self.method} learns from numbered objects, and the masks mark "
                "classes; number the objects 1, 2, 3, … and name their class, or choose distance"
            )
        if finds_objects(self.predictor):
            finder: Any = self.predictor
            return learn_detected(finder, self.method, shots, support)
        parts, models = parts_by_look(shots), {}
        for look, part in parts.items():
            if len(parts) > 1:
                support = relearn(self.predictor, part, support)
            models[look] = self._model(part, support)
        return LearnedObjects(shots.names, shots.values, models)

    def instances(
        self, image: ImageStack, learned: LearnedObjects, answer: Segmentation | None = None
    ) -> Instances:
        """Find the objects of an image.

        Args:
            image: of which the selected planes are segmented.
            learned: of `learn`.
            answer: the predictor's own, where it is there already.
        """
        if isinstance(learned, DetectedObjects):
            finder: Any = self.predictor
            return finder.instances(image, learned.support, answer)
        look, doubt = learned.look_for(image)
        model = learned.models[look]
        if answer is None or len(learned.models) > 1:
            answer = self.predictor.segment(image, model.support)
        insides = None
        if model.rims is not None:
            found = self.predictor.segment(image, model.rims)
            insides = found.probabilities[INSIDE].astype(np.float32)
        return make_instances(answer, insides, learned, model, doubt or answer.doubt)

    def _model(self, shots: SupportSet, support: Any = None) -> ObjectModel:
        numbered = shots.objects is not None
        sizes = sizes_of_classes(shots)
        methods: tuple[SplitMethod, ...] = (
            ("distance",) if not numbered else TRIED if self.method == "auto" else (self.method,)
        )
        chosen: dict[SplitMethod, tuple[tuple[Splitting, ...], float]] = {}
        if support is None:
            support = self.predictor.learn(shots)
        tried = enough(shots)
        found = held_out_probabilities(self.predictor, tried, support)
        for method in methods:
            insides = None
            if method != "distance":
                taught = taught_rims(tried, method, sizes[0])
                answers = held_out_probabilities(self.predictor, taught, support)
                insides = [each[INSIDE] for each in answers]
            chosen[method] = choose_splittings(method, tried, sizes, found, insides)
        scores: dict[str, float] = {name: score for name, (_, score) in chosen.items()}
        best = max(chosen, key=lambda name: scores[name] + _MARGIN * (name == "distance"))
        rims = None
        if best != "distance":
            rims = relearn(self.predictor, taught_rims(shots, best, sizes[0]), support)
        return ObjectModel(support, rims, chosen[best][0], sizes, scores)
