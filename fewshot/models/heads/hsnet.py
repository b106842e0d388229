"""Dense correspondence (HSNet): every query position is compared with every support position."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn
from torch.nn import functional

from fewshot.models.heads.base import Formerly, Head, Support, register_head
from fewshot.models.heads.center_pivot_conv import CentrePivotBlock
from fewshot.models.heads.one_vs_background import join_ways, shown
from fewshot.models.heads.pooling import pooled_unit
from fewshot.models.levels import Level
from fewshot.models.prototypes import grid_weights


@dataclass(frozen=True)
class HSNetSettings:
    """How finely positions are compared, and how large the network is that reads the result.

    Attributes:
        query_side: most positions of the query along a side; each level has its own grid's.
        support_side: most positions of the support along a side, the same for all levels.
        width: channels after the first squeezing block, a multiple of four; each later one has
            twice as many.
        blocks: squeezing blocks, each of which halves the support's sides.
        certain: logit of what the support alone decides, see
            `fewshot.models.heads.one_vs_background.join_ways`.
    """

    query_side: int = 32
    support_side: int = 16
    width: int = 8
    blocks: int = 3
    certain: float = 20.0


@register_head("hsnet", HSNetSettings(), formerly=Formerly("correlation", "CorrelationSettings"))
class HSNetHead(Head):
    """Learns to read correlations, whatever the class.

    One volume a level of the encoder: the cosine, where positive, of each position of the query
    with each position of the support's foreground. Centre-pivot convolutions squeeze the support
    axes, the levels are joined from coarse to fine, and a small decoder makes one logit a
    position. The logits of the shots that show the class are averaged. Each way is separated from
    its background by itself.

    Differs from the paper: an encoder's level has one volume instead of one a layer; the grids
    are pooled to the settings' sides; the votes of shots are averaged as logits, not as masks.

    Args:
        settings: of grids and network.
        levels: of the encoder, the finest first.

    Paper: Min et al., Hypercorrelation squeeze for few-shot segmentation, ICCV 2021.
    """

    takes_coordinates = False  # they are of no level

    def __init__(
        self,
        settings: HSNetSettings | None = None,
        levels: Sequence[Level] = (Level(1, 1),),
    ) -> None:
        super().__init__(settings or HSNetSettings())
        self.levels = tuple(levels)
        widths = [1, *(self.settings.width * 2**i for i in range(self.settings.blocks))]
        last = widths[-1]
        self.squeeze = nn.ModuleList(
            nn.Sequential(*(CentrePivotBlock(*pair, stride=2) for pair in pairwise(widths)))
            for _ in self.levels
        )
        self.mix = nn.ModuleList(CentrePivotBlock(last, last) for _ in self.levels[1:])
        self.decode = nn.Sequential(
            nn.Conv2d(last, last, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(last, last, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(last, 1, 1),
        )

    @classmethod
    def build(cls, settings: HSNetSettings, levels: Sequence[Level]) -> "HSNetHead":
        """Make the head with a volume a level; see `Head`."""
        return cls(settings, levels)

    def encode_support(
        self,
        support_features: Float[Tensor, "batch way shot channel rows columns"],
        support_masks: UInt8[Tensor, "batch way shot height width"],
    ) -> Support:
        """Pool the foreground's features, level by level; see `Head`."""
        rows, columns = support_features.shape[-2:]
        inside = grid_weights(support_masks == 1, rows, columns)
        masked = support_features * inside[:, :, :, None]
        # All levels have the coarsest one's grid, so that they can be added after squeezing.
        grid = self._grid(rows, columns, len(self.levels) - 1, self.settings.support_side)
        tensors = {
            f"level_{number}": pooled_unit(maps, grid)
            for number, maps in enumerate(self._split(masked))
        }
        shots = (inside.flatten(3).sum(dim=3) > 0).to(support_features.dtype)
        return Support({**tensors, "shots": shots, **shown(support_masks)})

    def logits(
        self, support: Support, query_features: Float[Tensor, "batch query channel rows columns"]
    ) -> Float[Tensor, "batch query label rows columns"]:
        """Correlate the queries with the shots, one shot after another; see `Head`."""
        rows, columns = query_features.shape[-2:]
        limit = self.settings.query_side
        queries = [
            pooled_unit(maps, self._grid(rows, columns, number, limit))
            for number, maps in enumerate(self._split(query_features))
        ]
        shots = support.tensors["shots"]
        batch, way, shot = shots.shape
        total = query_features.new_zeros(batch, query_features.shape[1], way, rows, columns)
        for number in range(shot):
            volumes = [
                correlation(query, support.tensors[f"level_{level}"][:, :, number])
                for level, query in enumerate(queries)
            ]
            votes = self._read([volume.flatten(0, 2) for volume in volumes])
            votes = functional.interpolate(
                votes, size=(rows, columns), mode="bilinear", align_corners=False
            )
            total = total + shots[:, None, :, number, None, None] * votes.reshape(total.shape)
        mean = total / shots.sum(dim=2).clamp(min=1)[:, None, :, None, None]
        return join_ways(mean, support.tensors, self.settings.certain)

    def _split(self, features: Float[Tensor, "*set channel rows columns"]) -> Sequence[Tensor]:
        return features.split([level.features for level in self.levels], dim=-3)

    def _grid(self, rows: int, columns: int, level: int, limit: int) -> tuple[int, int]:
        """A level's own grid, of at most so many positions along a side."""
        coarser = self.levels[level].stride / self.levels[0].stride
        return min(limit, math.ceil(rows / coarser)), min(limit, math.ceil(columns / coarser))

    def _read(self, volumes: Sequence[Tensor]) -> Float[Tensor, "item 1 rows columns"]:
        """Squeeze the volumes, join them from coarse to fine, decode what is left.

        Args:
            volumes: [item rows columns support_rows support_columns], whose query grids differ.
        """
        squeezed = [
            block(volume[:, None]) for block, volume in zip(self.squeeze, volumes, strict=True)
        ]
        joined = squeezed[-1]
        for block, finer in zip(reversed(self.mix), reversed(squeezed[:-1]), strict=True):
            joined = block(enlarge_query(joined, finer.shape[2:4]) + finer)
        return self.decode(joined.mean(dim=(4, 5)))


def correlation(
    query: Float[Tensor, "batch query channel rows columns"],
    support: Float[Tensor, "batch way channel support_rows support_columns"],
) -> Float[Tensor, "batch query way rows columns support_rows support_columns"]:
    """Cosines of all pairs of positions, negative ones set to 0; the features are of unit length.

    Paper: Min et al., ICCV 2021, equation 1.
    """
    flat = torch.einsum("bqcn,bwcm->bqwnm", query.flatten(3), support.flatten(3)).relu()
    return flat.unflatten(4, support.shape[3:]).unflatten(3, query.shape[3:])


def enlarge_query(
    volume: Float[Tensor, "item channel rows columns support_rows support_columns"],
    grid: Sequence[int],
) -> Float[Tensor, "item channel more_rows more_columns support_rows support_columns"]:
    """Bring the query axes to another grid, linearly; the support axes stay as they are."""
    flat = volume.flatten(4)
    size = (*grid, flat.shape[4])
    if flat.shape[2:4] != tuple(grid):
        flat = functional.interpolate(flat, size=size, mode="trilinear", align_corners=False)
    return flat.unflatten(4, volume.shape[4:])
