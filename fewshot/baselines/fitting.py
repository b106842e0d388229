"""A baseline by its name: fitted to annotated images, it segments others."""

import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from episodes.errors import ModelError
from episodes.masks.label_map import LabelMap
from fewshot.baselines.search import Chosen
from fewshot.inference.inputs import ImageLike, ImageStack, image_planes
from fewshot.inference.predictors.build import build_predictor
from fewshot.inference.result import Segmentation
from fewshot.inference.support_set import read_support_set
from fewshot.registry import PREDICTORS


@dataclass(frozen=True, eq=False)
class FittedBaseline:
    """A baseline that was fitted to annotated images.

    Attributes:
        name: of the baseline.
        predictor: the object that commands, protocols and benchmark use, too.
        support: what it learned.
    """

    name: str
    predictor: Any
    support: Any

    @property
    def configuration(self) -> Chosen | None:
        """What was chosen on the annotated images; None where nothing can be."""
        return self.support.configuration

    def segment(self, image: ImageLike | ImageStack) -> Segmentation:
        """Segment an image, stack or volume, at its own size.

        Args:
            image: path, array or tensor, as `Segmenter.segment` takes them.

        Raises:
            DataError: it cannot be read.
        """
        return self.predictor.segment(image_planes(image), self.support)


def fit(
    name: str,
    images: ImageLike | Sequence[ImageLike],
    masks: ImageLike | Sequence[ImageLike],
    classes: LabelMap | Sequence[str] | None = None,
    **settings: Any,
) -> FittedBaseline:
    """Fit a baseline to annotated images; its parameters are searched on them.

    Args:
        name: one of `names`.
        images: one or several, paths, arrays or tensors.
        masks: one an image, in the same order.
        classes: what the values of the masks mean; by default found out.
        settings: that differ from the baseline's own, such as the values that are tried.

    Raises:
        ModelError: there is no such baseline, or it has no such setting.
        DataError: the annotated images cannot be used, or an optional package is missing.
    """
    if name not in names():
        near = difflib.get_close_matches(name, names(), n=1, cutoff=0.3)
        hint = f"did you mean {near[0]!r}? " if near else ""
        raise ModelError(
            f"there is no baseline {name!r}; {hint}Expected one of {', '.join(names())}"
        )
    predictor = build_predictor(None, name, settings)
    return FittedBaseline(
        name, predictor, predictor.learn(read_support_set(images, masks, classes))
    )


def names() -> tuple[str, ...]:
    """List the baselines in the order of the alphabet, without importing any of them."""
    return PREDICTORS.names_in("fewshot.baselines")
