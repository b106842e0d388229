"""Mask R-CNN, of torchvision, with a small encoder: objects one by one.

Paper: He, Gkioxari, Dollár and Girshick, Mask R-CNN, ICCV 2017.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from episodes.errors import DataError
from fewshot.baselines.deep.encoder import build_encoder, is_trained
from fewshot.baselines.deep.objects import (
    AnnotatedObjects,
    ObjectPatches,
    Targets,
    annotated_objects,
    paint,
    sizes_of,
)
from fewshot.baselines.deep.predictor import DeepPredictor, Trained
from fewshot.baselines.deep.settings import DeepSettings
from fewshot.baselines.image_predictor import Fitted
from fewshot.inference.inputs import ImageStack
from fewshot.inference.instances.value import Instances
from fewshot.inference.predictors.build import register_predictor
from fewshot.inference.predictors.feature_predictor import AnnotatedSlices
from fewshot.inference.result import Segmentation
from fewshot.lazily import lazily

detection = lazily("torchvision.models.detection")
faster_rcnn = lazily("torchvision.models.detection.faster_rcnn")
heads = lazily("torchvision.models.detection.mask_rcnn")
anchors = lazily("torchvision.models.detection.anchor_utils")
ops = lazily("torchvision.ops")

STRIDES = (4, 8, 16)
"""Of the encoder's maps, in pixels; small objects have anchors on the first."""
_CANDIDATES = 0.05  # least score of detections; those of a segmentation are weighted by theirs


@dataclass(frozen=True)
class MaskRCNNSettings(DeepSettings):
    """The network and its training.

    Attributes:
        channels: of the feature pyramid and the heads.
        score: least score of an object, 0 to 1.
    """

    channels: int = 64
    score: float = 0.5

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.loss != DeepSettings.loss:
            raise DataError(
                f"loss is {self.loss!r}, but mask-rcnn has losses of its own; leave it out"
            )
        if self.channels < 1 or not 0 < self.score < 1:
            raise DataError(
                f"channels is {self.channels} and score {self.score}; expected at least 1, and a "
                "number between 0 and 1"
            )


class Pyramid(nn.Module):
    """An encoder with a feature pyramid.

    Args:
        encoder: gives maps, the finest first.
        channels: of its maps.
        outputs: channels of all maps of the pyramid.
        frozen: keep the statistics of the encoder's batch normalisation.
    """

    def __init__(
        self, encoder: nn.Module, channels: Sequence[int], outputs: int, frozen: bool
    ) -> None:
        super().__init__()
        self.encoder, self.frozen, self.out_channels = encoder, frozen, outputs
        self.pyramid = ops.FeaturePyramidNetwork(list(channels), outputs)

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """Embed: a map a level, by its number."""
        return self.pyramid({str(n): each for n, each in enumerate(self.encoder(images))})

    def train(self, mode: bool = True) -> "Pyramid":
        """Turn training on or off, but for the statistics that are kept."""
        super().train(mode)
        if self.frozen:
            self.encoder.eval()
        return self


class DetectionObjective(nn.Module):
    """The sum of the losses of proposals, classes, boxes and masks."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, batch: tuple[list[Tensor], list[Targets]]) -> dict[str, Tensor]:
        """Return the "loss", and its parts."""
        losses = self.network(*batch)
        named = {f"{name.removeprefix('loss_')}_loss": each for name, each in losses.items()}
        return {"loss": sum(losses.values()), **named}


@register_predictor("mask-rcnn")
class MaskRCNNPredictor(DeepPredictor):
    """Train a Mask R-CNN on the objects of the annotated images.

    Objects are those that the masks number, else the connected parts of each class. A segmentation
    has the most probable object at each pixel.
    """

    Settings: ClassVar = MaskRCNNSettings
    name: ClassVar = "mask-rcnn"
    seconds_per_step: ClassVar = 0.6
    learns_slowly: ClassVar = False  # but finds objects without borders
    finds_objects: ClassVar = True

    def build(self, ways: int, extras: tuple[float, ...] = ()) -> nn.Module:
        """Build encoder, pyramid and heads.

        Args:
            ways: how many classes.
            extras: sides of the anchors of each level, and detections an image at most.
        """
        chosen = self.settings
        encoder, channels, (mean, std) = build_encoder(chosen.encoder, chosen.weights, STRIDES)
        frozen, width, labels = (
            is_trained(chosen.encoder, chosen.weights),
            chosen.channels,
            ways + 1,
        )
        *sizes, detections = extras
        levels = [str(number) for number in range(len(STRIDES))]
        return detection.MaskRCNN(
            Pyramid(encoder, channels, width, frozen),
            image_mean=list(mean),
            image_std=list(std),
            rpn_anchor_generator=anchors.AnchorGenerator(
                tuple((size,) for size in sizes), ((0.5, 1.0, 2.0),) * len(sizes)
            ),
            rpn_pre_nms_top_n_train=500,
            rpn_post_nms_top_n_train=300,
            rpn_batch_size_per_image=128,
            box_roi_pool=ops.MultiScaleRoIAlign(levels, 7, 2),
            box_head=faster_rcnn.TwoMLPHead(width * 7**2, 2 * width),
            box_predictor=faster_rcnn.FastRCNNPredictor(2 * width, labels),
            box_score_thresh=_CANDIDATES,
            box_detections_per_img=int(detections),
            box_batch_size_per_image=128,
            mask_roi_pool=ops.MultiScaleRoIAlign(levels, 14, 2),
            mask_head=heads.MaskRCNNHeads(width, (width, width), 1),
            mask_predictor=heads.MaskRCNNPredictor(width, width, labels),
            _skip_resize=True,  # images have the size of the patches' images already
        )

    def annotated(
        self, annotated: AnnotatedSlices, images: Sequence[tuple[np.ndarray, np.ndarray]]
    ) -> AnnotatedObjects:
        """Keep the annotated images and their objects in memory."""
        return annotated_objects(annotated, images)

    def extras(self, images: AnnotatedObjects) -> tuple[float, ...]:
        """Sides of anchors, and twice as many detections as an annotated image has objects."""
        most = max(len(torch.unique(codes)) for _, codes in images.pairs)
        return (*sizes_of(images.pairs, images.ways), max(50, 2 * most))

    def objective(self, network: nn.Module) -> nn.Module:
        """Give the sum of the losses of the network itself."""
        return DetectionObjective(network)

    def batches(self, images: AnnotatedObjects, longest: int) -> ObjectPatches:
        """Load patches and their objects."""
        return ObjectPatches(super().batches(images, longest), images.ways)

    def label(self, network: nn.Module, image: Tensor, labels: int) -> np.ndarray:
        """Give each pixel the highest score times mask of the objects of each class there."""
        found = _detect(network, image)
        chance = np.zeros((labels, *image.shape[1:]), np.float32)
        for way, score, mask in zip(found["labels"], found["scores"], found["masks"], strict=True):
            of_class = chance[int(way)]
            np.maximum(of_class, float(score) * mask[0].numpy(), out=of_class)
        chance[0] = 1 - chance[1:].max(axis=0)
        return chance / chance.sum(axis=0)

    def instances(
        self, image: ImageStack, support: Fitted[Trained], answer: Segmentation | None = None
    ) -> Instances:
        """Find the objects of an image.

        Args:
            image: of one plane.
            support: of `learn`.
            answer: not used, as objects are not made of classes.

        Raises:
            DataError: it has several planes.
        """
        if len(image.pixels) > 1:
            raise DataError(
                f"mask-rcnn finds objects of images, and {image.name} has {len(image.pixels)} "
                "planes; segment it by another method, or each plane by itself"
            )
        shape, model = image.pixels.shape[1:3], support.model
        pixels = self.image(image, 0, support)
        if model.network is None:
            numbers = np.full(shape, int(model.only > 0), np.int32)
            ways, scores = np.full(numbers.max(), model.only), np.ones(numbers.max())
        elif pixels.amax() == pixels.amin():
            numbers, ways, scores = np.zeros(shape, np.int32), np.zeros(0, int), np.zeros(0)
        else:
            found = _detect(model.network, pixels)
            numbers, ways, scores = paint(found, self.settings.score, shape)
        return Instances(numbers[None], ways, scores, support.names, support.values, image)


@torch.inference_mode()
def _detect(network: nn.Module, image: Tensor) -> Any:
    device = next(network.parameters()).device
    (found,) = network([image.to(device)])
    return {name: each.cpu() for name, each in found.items()}
