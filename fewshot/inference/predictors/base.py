"""The contract of everything that segments like annotated images."""

from typing import Any, ClassVar, Protocol, TypeVar

from fewshot.inference.inputs import ImageStack
from fewshot.inference.result import Segmentation
from fewshot.inference.support_set import SupportSet

Learned = TypeVar("Learned")


class Predictor(Protocol[Learned]):
    """Learn from annotated images, segment others.

    Users, commands, protocols and benchmark call the same two methods. A predictor that registers
    by `register_predictor` is built from a network and an instance of its `Settings` (see
    `fewshot.inference.predictors.build.build_predictor`).

    Attributes:
        Settings: dataclass of what can be chosen.
        whole_volumes: whether it segments all requested slices of a volume with all that is
            annotated, instead of each by itself.
        needs_network: whether it is built with one; without, None is given and nothing is loaded.
    """

    Settings: ClassVar[type[Any]]
    whole_volumes: ClassVar[bool]
    needs_network: ClassVar[bool]

    def learn(self, support_set: SupportSet) -> Learned:
        """Learn from annotated images.

        Raises:
            DataError: nothing is annotated, or more than fits.
        """
        ...

    def segment(self, image: ImageStack, support: Learned) -> Segmentation:
        """Segment the selected planes of an image, stack or volume at its own size.

        Args:
            image: a volume is given whole, whichever of its planes are selected.
            support: of `learn`.
        """
        ...
