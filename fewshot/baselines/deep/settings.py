"""What can be chosen of a network that is trained on annotated images."""

from dataclasses import dataclass
from typing import Literal, get_args

from episodes.errors import DataError

Weights = Literal["installed", "hub", "none"]
"""Of the encoder before training, see `fewshot.baselines.deep.encoder`."""
Augmentation = Literal["none", "light", "flips", "strong"]
"""How annotated images are changed, see `fewshot.baselines.deep.patches`."""


@dataclass(frozen=True)
class DeepSettings:
    """How a network is built and trained.

    A budget in steps gives the same weights every time; one in minutes depends on the clock.

    Attributes:
        encoder: name of an encoder of timm.
        weights: of the encoder before training: those that are installed, for
            tf_efficientnet_lite0 alone; of timm's hub; or random ones.
        loss: a loss of this package, or a sum such as dice+cross_entropy.
        steps: optimiser steps; 0 for as many as `minutes` allow.
        minutes: training ends after this time; 0 for no limit.
        batch: patches a step.
        learning_rate: of AdamW at its highest.
        patch: side of the parts of images that are trained on, in pixels.
        augmentation: of patches.
        max_side: larger images are scaled down to this side, in pixels.
        run: folder of runs, one of each set of annotated images, in which a stopped run goes on and
            a finished one is used again; by default nothing is kept.
        seed: of the first weights, the patches and their augmentation.
    """

    encoder: str = "tf_efficientnet_lite0"
    weights: Weights = "installed"
    loss: str = "dice+cross_entropy"
    steps: int = 200
    minutes: float = 0.0
    batch: int = 4
    learning_rate: float = 1e-3
    patch: int = 192
    augmentation: Augmentation = "light"
    max_side: int = 512
    run: str = ""
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("batch", "patch", "max_side"):
            if getattr(self, name) < 1:
                raise DataError(f"{name} is {getattr(self, name)}; expected at least 1")
        if not self.learning_rate > 0:
            raise DataError(f"learning_rate is {self.learning_rate}; expected a number above 0")
        if min(self.steps, self.minutes, self.seed) < 0:
            raise DataError(
                f"steps is {self.steps}, minutes {self.minutes} and seed {self.seed}; expected "
                "none below 0"
            )
        if not (self.steps or self.minutes):
            raise DataError("steps and minutes are both 0; set one, or training never ends")
        for name, kind in (("weights", Weights), ("augmentation", Augmentation)):
            if getattr(self, name) not in get_args(kind):
                raise DataError(
                    f"{name} is {getattr(self, name)!r}; expected {', '.join(get_args(kind))}"
                )
