"""Objects of predictors that find them by themselves, as a detector does."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol, runtime_checkable

from episodes.errors import DataError
from fewshot.inference.inputs import ImageStack
from fewshot.inference.instances.learned import LearnedObjects
from fewshot.inference.instances.value import Instances
from fewshot.inference.result import Segmentation
from fewshot.inference.settings import InstanceMethod
from fewshot.inference.support_set import SupportSet


@runtime_checkable
class ObjectPredictor(Protocol):
    """A `Predictor` that gives objects beside classes.

    Attributes:
        finds_objects: True.

    One that grows objects from learned insides names how as `grown_by`.
    """

    finds_objects: ClassVar[bool]

    def learn(self, support_set: SupportSet) -> Any:
        """Learn classes and objects; see `Predictor`."""
        ...

    def instances(
        self, image: ImageStack, support: Any, answer: Segmentation | None = None
    ) -> Instances:
        """Find the objects of an image, whose segmentation may be there already."""
        ...


@dataclass(frozen=True, eq=False)
class DetectedObjects(LearnedObjects):
    """What a predictor of objects learned.

    Attributes:
        support: of its `learn`.
    """

    support: Any = None

    def describe(self) -> str:
        """Tell what the method chose, or in a line that nothing was chosen."""
        if isinstance(self.support, LearnedObjects):
            return self.support.describe()
        return "objects are found by the method itself"

    def record(self) -> dict[str, Any]:
        """Return the same as JSON values."""
        if isinstance(self.support, LearnedObjects):
            return self.support.record()
        return {"method": "detected"}


def finds_objects(predictor: object) -> bool:
    """Whether a predictor follows `ObjectPredictor`."""
    return bool(getattr(predictor, "finds_objects", False))


def learn_detected(
    predictor: ObjectPredictor, method: InstanceMethod, shots: SupportSet, support: Any
) -> DetectedObjects:
    """Learn, where that was not done.

    Raises:
        DataError: objects are to be split, and the predictor finds them whole, or in its own way.
    """
    if method in ("border", "seeds") and method != getattr(predictor, "grown_by", None):
        raise DataError(
            f"--instances {method} splits the answer of a method of classes, and this one finds "
            "objects by itself; leave out the name, --instances auto"
        )
    models: Mapping[str, Any] = {}
    known = predictor.learn(shots) if support is None else support
    return DetectedObjects(shots.names, shots.values, models, known)
