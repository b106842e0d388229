"""Cross-convolution with a support set (UniverSeg), its support side computed once."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn
from torch.nn import functional

from fewshot.models.heads.base import Formerly, Head, Support, register_head
from fewshot.models.heads.one_vs_background import join_ways, shown
from fewshot.models.prototypes import grid_weights


@dataclass(frozen=True)
class UniverSegSettings:
    """How large the network is.

    Attributes:
        width: channels of every block.
        depth: resolutions, each half the one before; the way back up has one block less.
        certain: logit of what the support alone decides, see
            `fewshot.models.heads.one_vs_background.join_ways`.
    """

    width: int = 32
    depth: int = 4
    certain: float = 20.0


class CrossBlock(nn.Module):
    """Mixes the query's features with those of every support entry, averaged over the entries.

    A cross-convolution is a convolution of the query's features u and an entry's features v_i,
    concatenated: W [u, v_i] = A u + B v_i. It is linear, so its mean over the entries is
    A u + mean_i B v_i, of which the second term does not depend on the query: `encode_support`
    computes it once, `read` adds it. With f the leaky ReLU, then

        u' = f(C f(A u + mean_i B v_i + a)),  v_i' = f(D f(B v_i + b)).

    In UniverSeg, f is applied before the mean, u' = f(C mean_i f(A u + B v_i + a)), and A u also
    stands in v_i', so that every entry has to be computed anew for every query. Here the entries
    never see the query, and they are nonlinear among themselves only: f in v_i'.

    Args:
        query_inputs, support_inputs: channels of u and v.
        width: channels of u' and v'.
        last: no block follows, so there is no v'.
    """

    def __init__(
        self, query_inputs: int, support_inputs: int, width: int, last: bool = False
    ) -> None:
        super().__init__()
        self.from_query = nn.Conv2d(query_inputs, width, 3, padding=1)
        self.from_support = nn.Conv2d(support_inputs, width, 3, padding=1, bias=False)
        self.query_out = nn.Conv2d(width, width, 3, padding=1)
        if not last:
            self.support_bias = nn.Parameter(torch.zeros(width, 1, 1))
            self.support_out = nn.Conv2d(width, width, 3, padding=1)

    def follow(
        self, crossed: Float[Tensor, "item width rows columns"]
    ) -> Float[Tensor, "item width rows columns"]:
        """Give v_i' for B v_i."""
        return _active(self.support_out(_active(crossed + self.support_bias)))

    def read(
        self,
        query: Float[Tensor, "item channel rows columns"],
        crossed: Float[Tensor, "item width rows columns"],
    ) -> Float[Tensor, "item width rows columns"]:
        """Give u' for u and the mean of B v_i."""
        return _active(self.query_out(_active(self.from_query(query) + crossed)))


@register_head("universeg", UniverSegSettings(), formerly=Formerly("cross", "CrossSettings"))
class UniverSegHead(Head):
    """A small U of cross-convolutions over the encoder's grid.

    The support's stream runs once a support set; a query's cost does not grow with the number of
    shots, nor does what is stored. The order of the shots plays no part. What lies under unknown
    pixels is set to zero before the first convolution, and both channels of the mask, foreground
    and background, are zero there. Each way is separated from its background by itself.

    Differs from the paper beside the note of `CrossBlock`: it works on the features of a pretrained
    encoder instead of grey pixels, brought to `width` channels; and the mask has two channels.
    Cross-convolutions compare positions within their reach, so structures have to lie in much
    the same place in support and query, to within the coarsest block's view.

    Args:
        settings: of the network.
        features: channels of the feature maps.

    Paper: Butoi et al., UniverSeg: universal medical image segmentation, ICCV 2023.
    """

    counts_features = True

    def __init__(self, settings: UniverSegSettings | None = None, features: int = 1) -> None:
        super().__init__(settings or UniverSegSettings())
        width, depth = self.settings.width, self.settings.depth
        self.embed = nn.Conv2d(features, width, 1)
        # Features are of unit length, so that each channel is small; this makes it of size one.
        self.gain = features**0.5
        inputs = [(width, width + 2)] + [(width, width)] * (depth - 1)
        inputs += [(2 * width, 2 * width)] * (depth - 1)
        self.blocks = nn.ModuleList(
            CrossBlock(*pair, width, last=number == len(inputs) - 1)
            for number, pair in enumerate(inputs)
        )
        self.out = nn.Conv2d(width, 1, 1)

    def encode_support(
        self,
        support_features: Float[Tensor, "batch way shot channel rows columns"],
        support_masks: UInt8[Tensor, "batch way shot height width"],
    ) -> Support:
        """Run the support's stream, keep what queries read of it; see `Head`."""
        rows, columns = support_features.shape[-2:]
        cell = support_masks.shape[-2] * support_masks.shape[-1] / (rows * columns)
        inside = grid_weights(support_masks == 1, rows, columns) / cell
        outside = grid_weights(support_masks == 0, rows, columns) / cell
        known = (inside + outside)[:, :, :, None]
        shots = (known.flatten(3).sum(dim=3) > 0).to(known.dtype)
        weights = shots / shots.sum(dim=2, keepdim=True).clamp(min=1)
        embedded = self._embed((support_features * known).flatten(0, 2)) * known.flatten(0, 2)
        masks = torch.stack([inside, outside], dim=3).flatten(0, 2)
        read: dict[str, Tensor] = {}

        def step(number: int, entries: Tensor) -> Tensor:
            block = cast(CrossBlock, self.blocks[number])
            crossed = block.from_support(entries)
            stacked = crossed.unflatten(0, shots.shape)
            read[f"block_{number}"] = torch.einsum("bwscij,bws->bwcij", stacked, weights)
            return crossed if number == len(self.blocks) - 1 else block.follow(crossed)

        self._walk(torch.cat([embedded, masks], dim=1), step)
        return Support({**read, **shown(support_masks)})

    def logits(
        self, support: Support, query_features: Float[Tensor, "batch query channel rows columns"]
    ) -> Float[Tensor, "batch query label rows columns"]:
        """Run the query's stream once a way; see `Head`."""
        batch, query, _, rows, columns = query_features.shape
        way = support.tensors["block_0"].shape[1]
        embedded = self._embed(query_features.flatten(0, 1)).unflatten(0, (batch, query, 1))

        def step(number: int, maps: Tensor) -> Tensor:
            crossed = support.tensors[f"block_{number}"][:, None].expand(-1, query, *[-1] * 4)
            block = cast(CrossBlock, self.blocks[number])
            return block.read(maps, _sized(crossed.flatten(0, 2), maps))

        last = self._walk(embedded.expand(-1, -1, way, -1, -1, -1).flatten(0, 2), step)
        logits = self.out(last).reshape(batch, query, way, rows, columns)
        return join_ways(logits, support.tensors, self.settings.certain)

    def _embed(
        self, features: Float[Tensor, "item channel rows columns"]
    ) -> Float[Tensor, "item width rows columns"]:
        return self.embed(self.gain * features)

    def _walk(
        self,
        maps: Float[Tensor, "item channel rows columns"],
        step: Callable[[int, Tensor], Tensor],
    ) -> Float[Tensor, "item width rows columns"]:
        """Go down and up the U, with `step(number, maps)` for each block."""
        depth = self.settings.depth
        skips: list[Tensor] = []
        for number in range(depth):
            if number:
                maps = functional.max_pool2d(maps, 2, ceil_mode=True)
            maps = step(number, maps)
            skips.append(maps)
        for number, skip in enumerate(reversed(skips[:-1]), start=depth):
            maps = step(number, torch.cat([_sized(maps, skip), skip], dim=1))
        return maps


def _sized(maps: Tensor, like: Tensor) -> Tensor:
    """Bring maps to the grid of others."""
    size = like.shape[-2:]
    if maps.shape[-2:] == size:
        return maps
    return functional.interpolate(maps, size=size, mode="bilinear", align_corners=False)


def _active(maps: Tensor) -> Tensor:
    return functional.leaky_relu(maps, 0.01)
