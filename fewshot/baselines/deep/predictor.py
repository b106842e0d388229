"""What networks share that are trained on annotated images and label every pixel."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from episodes.io.pixels import IGNORE
from episodes.sampling.episode import to_channels
from fewshot.baselines.deep.encoder import INSTALLED
from fewshot.baselines.deep.patches import STRIDE, Annotated, Images, Patches, patch_side
from fewshot.baselines.deep.saved import load_weights, save_trained
from fewshot.baselines.deep.settings import DeepSettings
from fewshot.baselines.deep.trainer import PixelObjective, train_network
from fewshot.baselines.image_predictor import (
    Fitted,
    ImagePredictor,
    enlarge,
    image_at,
    training_images,
)
from fewshot.baselines.searched_predictor import check_distinguishable, constant
from fewshot.inference.inputs import ImageStack
from fewshot.inference.predictors.feature_predictor import AnnotatedSlices
from fewshot.inference.support_set import SupportSet
from fewshot.inference.tiles import parts, ramp
from fewshot.models.precision import autocast, default_device
from fewshot.training.run import Callback
from fewshot.training.seeding import seeded_weights

TILE = 768
"""Longest side of what passes through a network at once, in pixels."""


@dataclass(frozen=True, eq=False)
class Trained:
    """What was trained.

    Attributes:
        network: in evaluation mode; None where all that is known has one label.
        only: that label.
        steps: of the optimiser.
        extras: plain values that building the network takes besides settings and classes.
    """

    network: nn.Module | None
    only: int = 0
    steps: int = 0
    extras: tuple[float, ...] = ()


class DeepPredictor(ImagePredictor[Trained]):
    """A network that is trained on patches of the annotated images.

    A network gives `build`; one that does not label pixels gives `objective`, `batches` and
    `label` as well.

    Attributes:
        learns_slowly: True where training takes so long that nothing should be learned twice.
        callbacks: of the training, see `fewshot.training.run.Callback`.
        seconds_per_step: on 2 cores, with the default settings, for `cost`.
    """

    Settings: ClassVar[type[Any]] = DeepSettings
    name: ClassVar[str]
    seconds_per_step: ClassVar[float]
    learns_slowly: ClassVar[bool] = True
    callbacks: Sequence[Callback] = ()

    def build(self, ways: int, extras: tuple[float, ...] = ()) -> nn.Module:
        """Build the network, whose images [batch 3 height width] are 0 to 1.

        Args:
            ways: how many classes.
            extras: of `extras`.
        """
        raise NotImplementedError

    def extras(self, images: Any) -> tuple[float, ...]:
        """Find what building takes besides settings and classes, in the annotated images."""
        return ()

    def objective(self, network: nn.Module) -> nn.Module:
        """Give what is minimised; by default the loss of the pixels."""
        return PixelObjective(network, self.settings.loss)

    def batches(self, images: Any, longest: int) -> Any:
        """Load batches of annotated images by item numbers, see `Patches`."""
        side = patch_side(self.settings.patch, longest)
        return Patches(images, side, self.settings.augmentation, self.settings.seed)

    def label(self, network: nn.Module, image: Tensor, labels: int) -> np.ndarray:
        """Segment an image [3 height width]: float32 [label height width]."""
        height, width = image.shape[1:]
        sums = np.zeros((labels, height, width), np.float32)
        weights = np.zeros((height, width), np.float32)
        for rows, columns in parts(height, width, TILE):
            found = _probabilities(network, image[:, rows, columns])
            weight = np.outer(ramp(found.shape[1]), ramp(found.shape[2]))
            sums[:, rows, columns] += found * weight
            weights[rows, columns] += weight
        return sums / weights

    def cost(self, support_set: SupportSet) -> str:
        """Tell in a line what will be trained, and for about how long."""
        chosen, count = self.settings, sum(map(len, support_set.annotated_planes()))
        budget = f"at most {chosen.minutes:g} min" if chosen.minutes else ""
        if chosen.steps:
            about = f"{chosen.steps} steps"
            if chosen.encoder == INSTALLED:
                size = chosen.batch * chosen.patch**2 / (DeepSettings.batch * DeepSettings.patch**2)
                minutes = chosen.steps * self.seconds_per_step * size / 60
                about += f", about {minutes:.1f} min on 2 cores"
            budget = f"{about}, {budget}" if budget else about
        return f"training {self.name} ({chosen.encoder}) on {count} annotated images: {budget}"

    def fit(self, annotated: AnnotatedSlices, colour: bool) -> Trained:
        """Train on all annotated planes.

        Raises:
            DataError: a class has no pixel, or all annotated planes have one intensity.
        """
        images = list(training_images(annotated, colour, self.settings.max_side))
        check_distinguishable(images, annotated)
        known = np.unique(np.concatenate([np.unique(labels) for _, labels in images]))
        known = known[known != IGNORE]
        if len(known) == 1:
            return Trained(None, int(known[0]))
        pairs = self.annotated(annotated, images)
        about = {
            "names": list(annotated.shots.names),
            "values": list(annotated.shots.values),
            "colour": colour,
        }
        run, known = self.settings.run, pairs.fingerprint
        return self.train(pairs, pairs.longest, known, about, Path(run) / known if run else None)

    def annotated(
        self, annotated: AnnotatedSlices, images: Sequence[tuple[np.ndarray, np.ndarray]]
    ) -> Any:
        """Keep the annotated images in memory."""
        return Annotated.of(images)

    def train(
        self,
        images: Images,
        longest: int,
        fingerprint: str,
        about: dict[str, Any],
        folder: Path | None,
        workers: int = 0,
    ) -> Trained:
        """Train on annotated images; a run that is in the folder goes on.

        Args:
            images: annotated ones.
            longest: side of them, in pixels.
            fingerprint: of them.
            about: names and values of the classes, and whether there is colour.
            folder: of the run; None keeps none.
            workers: processes that load images.
        """
        extras = self.extras(images)
        with seeded_weights(self.settings.seed):
            network = self.build(len(about["names"]), extras)
        network = network.to(default_device()).to(memory_format=torch.channels_last)
        about = self._about(about, extras)
        result = train_network(
            self.objective(network),
            self.batches(images, longest),
            partial(save_trained, network, about),
            self.settings,
            data=fingerprint,
            folder=folder,
            callbacks=self.callbacks,
            workers=workers,
        )
        return Trained(network.eval(), steps=result.steps, extras=extras)

    def save(self, support: Fitted[Trained], folder: Path) -> None:
        """Write the network and what it was trained on, see `save_trained`."""
        network = support.model.network
        assert network is not None  # checked by the caller
        about = {
            "names": list(support.names),
            "values": list(support.values),
            "colour": support.colour,
        }
        save_trained(network, self._about(about, support.model.extras), folder)

    def load(self, folder: Path, about: Mapping[str, Any]) -> Fitted[Trained]:
        """Load what `save` wrote.

        Args:
            folder: that holds the weights.
            about: of `read_trained`.
        """
        extras = tuple(about["extras"])
        chosen, self.settings = self.settings, replace(self.settings, weights="none")
        try:
            network = self.build(len(about["names"]), extras)
        finally:
            self.settings = chosen
        load_weights(network, folder)
        network = network.to(default_device()).to(memory_format=torch.channels_last).eval()
        names, values = tuple(about["names"]), tuple(about["values"])
        return Fitted(names, values, about["colour"], Trained(network, extras=extras))

    def _about(self, about: Mapping[str, Any], extras: tuple[float, ...]) -> dict[str, Any]:
        return {**about, "name": self.name, "extras": list(extras), "settings": self.settings}

    def probabilities(
        self, picture: ImageStack, plane: int, support: Fitted[Trained]
    ) -> np.ndarray:
        """Those of the network; an image of one intensity is background."""
        height, width = picture.pixels.shape[1:3]
        labels, model = len(support.names) + 1, support.model
        if model.network is None:
            return constant(model.only, labels, (height, width))
        image = self.image(picture, plane, support)
        if image.amax(dim=(1, 2)).equal(image.amin(dim=(1, 2))):
            return constant(0, labels, (height, width))
        found = self.label(model.network, image, labels)
        return enlarge(np.ascontiguousarray(found, np.float32), (height, width))

    def image(self, picture: ImageStack, plane: int, support: Fitted[Trained]) -> Tensor:
        """Bring a plane to what the network takes: float32 [3 height width], 0 to 1."""
        image = image_at(picture, plane, support.colour, self.settings.max_side)
        return to_channels(torch.from_numpy(image).movedim(-1, 0), 3)


@torch.inference_mode()
def _probabilities(network: nn.Module, image: Tensor) -> np.ndarray:
    """Softmax of a part [3 height width], padded to multiples of the stride."""
    height, width = image.shape[1:]
    padded = functional.pad(image, (0, -width % STRIDE, 0, -height % STRIDE))
    device = next(network.parameters()).device
    with autocast(device, training=False):
        logits = network(padded[None].to(device))
    logits = logits.float()
    if logits.shape[-2:] != padded.shape[-2:]:
        logits = functional.interpolate(
            logits, size=padded.shape[-2:], mode="bilinear", align_corners=False
        )
    return logits[0, :, :height, :width].softmax(dim=0).cpu().numpy()
