"""A backbone and XFeat side by side: what things are, and their edges, texture and local shape."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from episodes.errors import ModelError
from fewshot.models.levels import Level
from fewshot.models.xfeat import CHANNELS, XFeat

_STRIDE = 8  # of XFeat's fused map, the only one that is taken


class WithXFeat(nn.Module):
    """The levels of a backbone, and behind its level of stride 8 XFeat's fused map.

    XFeat weighs as much as all levels of the other together, whatever the number of features.

    Args:
        backbone: the other one.
        levels: of it, the finest first; one has stride 8.
        mean: of the pixels that it was trained on, a channel.
        std: their spread.
        pretrained: whether XFeat has its installed weights; else they are random.

    Attributes:
        levels: of both, the finest first.

    Raises:
        ModelError: no level has stride 8.
    """

    def __init__(
        self,
        backbone: nn.Module,
        levels: Sequence[Level],
        mean: Sequence[float],
        std: Sequence[float],
        pretrained: bool,
    ) -> None:
        super().__init__()
        strides = tuple(level.stride for level in levels)
        if _STRIDE not in strides:
            raise ModelError(f"strides are {strides}; expected 8 among them, which is XFeat's")
        self.place = strides.index(_STRIDE) + 1
        own = Level(CHANNELS[_STRIDE], _STRIDE, weight=float(len(levels)))
        self.levels = (*levels[: self.place], own, *levels[self.place :])
        self.backbone = backbone
        self.xfeat = XFeat((_STRIDE,), pretrained)
        self.mean: Tensor
        self.std: Tensor
        self.register_buffer("mean", torch.tensor(mean).view(-1, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).view(-1, 1, 1), persistent=False)

    def forward(
        self, pixels: Float[Tensor, "batch 3 height width"]
    ) -> list[Float[Tensor, "batch _ _ _"]]:
        """Embed images in [0, 1]; one map [batch features height/stride width/stride] a level."""
        maps = self.backbone((pixels - self.mean) / self.std)
        return [*maps[: self.place], *self.xfeat(pixels), *maps[self.place :]]
