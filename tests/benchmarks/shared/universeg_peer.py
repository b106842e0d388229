"""UniverSeg's architecture, written anew from the paper's description, to be timed beside ours.

Weights are random: only its cost is of interest. At the published configuration it has 1,182,785
parameters, as the published model has.

Paper: Butoi et al., UniverSeg: universal medical image segmentation, ICCV 2023.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

PARAMETERS = 1_182_785
SIDE = 128
"""Side of the grey pictures that it takes, in pixels."""


class CrossBlock(nn.Module):
    """Every support entry is laid on the query and convolved with it; the query gets the mean."""

    def __init__(self, query_inputs: int, support_inputs: int, width: int) -> None:
        super().__init__()
        self.cross = nn.Conv2d(query_inputs + support_inputs, width, 3, padding=1)
        self.query = nn.Conv2d(width, width, 3, padding=1)
        self.support = nn.Conv2d(width, width, 3, padding=1)

    def forward(self, query: Tensor, support: Tensor) -> tuple[Tensor, Tensor]:
        """Take [1 channel height width] and [entry channel height width]."""
        pairs = torch.cat([query.expand(len(support), -1, -1, -1), support], dim=1)
        crossed = functional.leaky_relu(self.cross(pairs))
        new_query = functional.leaky_relu(self.query(crossed.mean(dim=0, keepdim=True)))
        return new_query, functional.leaky_relu(self.support(crossed))


class UniverSeg(nn.Module):
    """A U of cross-blocks; the support travels along and is computed anew for every query."""

    def __init__(self, widths: Sequence[int] = (64, 64, 64, 64)) -> None:
        super().__init__()
        query_inputs, support_inputs = 1, 2  # a grey picture; a grey picture and its mask
        self.down = nn.ModuleList()
        for width in widths:
            self.down.append(CrossBlock(query_inputs, support_inputs, width))
            query_inputs = support_inputs = width
        self.up = nn.ModuleList()
        for width in reversed(widths[:-1]):
            self.up.append(CrossBlock(query_inputs + width, support_inputs + width, width))
            query_inputs = support_inputs = width
        self.out = nn.Conv2d(query_inputs, 1, 1)

    def forward(self, query: Tensor, support: Tensor) -> Tensor:
        """Give the logits [1 1 height width] of a query for pictures and masks of the support."""
        skips = []
        for number, block in enumerate(self.down):
            if number:
                query, support = (functional.max_pool2d(maps, 2) for maps in (query, support))
            query, support = block(query, support)
            skips.append((query, support))
        for block, skip in zip(self.up, reversed(skips[:-1]), strict=True):
            query, support = (
                torch.cat([functional.interpolate(maps, scale_factor=2, mode="bilinear"), old], 1)
                for maps, old in zip((query, support), skip, strict=True)
            )
            query, support = block(query, support)
        return self.out(query)
