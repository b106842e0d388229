"""A segmenter as its users have it, in the square that thin structures need, or in two stages."""

from dataclasses import dataclass, field
from typing import ClassVar

from fewshot.inference.inputs import ImageStack
from fewshot.inference.postprocessing.settings import PostprocessSettings
from fewshot.inference.predictors.build import register_predictor
from fewshot.inference.preprocess import only_selected
from fewshot.inference.result import Segmentation
from fewshot.inference.segmenter import Segmenter
from fewshot.inference.settings import Ensemble
from fewshot.inference.support_set import SupportSet
from fewshot.inference.two_stage import TwoStageSupport, learn_two_stage, segment_two_stage
from fewshot.models.heads import Support
from fewshot.models.network import FewShotNetwork


@dataclass(frozen=True)
class EndToEndSettings:
    """How `Segmenter` is used.

    Attributes:
        postprocess: steps that follow the head.
        ensemble: how the predictions of single images become one, see
            `fewshot.inference.ensemble`; by default all are learned together.
        zoom: side of the second stage's window, in extents of the structure, see
            `fewshot.inference.two_stage`; by default there is one stage.
        size: side of the square in which images are compared, in pixels; by default chosen by the
            size of the marked structures, or the network's own in two stages.
        tiles: segment larger images in overlapping parts, see `Segmenter.segment`.
        other_magnification: see `Segmenter.segment`.
    """

    postprocess: PostprocessSettings = field(default_factory=PostprocessSettings)
    ensemble: Ensemble | None = None
    zoom: float | None = None
    size: int | None = None
    tiles: bool = False
    other_magnification: bool = False


EndToEndSupport = tuple[Support, ...] | TwoStageSupport


@register_predictor("end-to-end")
class EndToEndPredictor:
    """Learn with `Segmenter.learn_shots`, segment with `Segmenter.segment`, or in two stages.

    Args:
        network: in evaluation mode.
        settings: by default those of `EndToEndSettings`.
    """

    Settings: ClassVar = EndToEndSettings
    whole_volumes: ClassVar[bool] = False
    needs_network: ClassVar[bool] = True

    def __init__(self, network: FewShotNetwork, settings: EndToEndSettings | None = None) -> None:
        self.segmenter = Segmenter(network)
        self.network = self.segmenter.network
        self.settings = settings or EndToEndSettings()

    def learn(self, support_set: SupportSet) -> EndToEndSupport:
        """Condense annotated images into supports; see `Predictor`."""
        chosen = self.settings
        mirror = chosen.postprocess.flip == "both"
        if chosen.zoom is not None:
            return learn_two_stage(
                self.segmenter, support_set, chosen.zoom, size=chosen.size, mirror=mirror
            )
        size = chosen.size or self.segmenter.size_for(support_set)
        sets = [support_set] if chosen.ensemble is None else support_set.split()
        return tuple(self.segmenter.learn_shots(each, size=size, mirror=mirror) for each in sets)

    def segment(self, image: ImageStack, support: EndToEndSupport) -> Segmentation:
        """Segment the selected planes as a picture of their own; see `Predictor`."""
        picture, chosen = only_selected(image), self.settings
        if isinstance(support, TwoStageSupport):
            return segment_two_stage(
                *(self.segmenter, picture, support, chosen.postprocess),
                other_magnification=chosen.other_magnification,
            )
        return self.segmenter.segment(
            *(picture, support, chosen.postprocess, chosen.ensemble or "probabilities"),
            other_magnification=chosen.other_magnification,
            tiles=chosen.tiles,
        )
