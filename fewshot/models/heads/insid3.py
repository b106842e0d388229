"""Matching forth and back, then whole clusters (INSID3): segmentation without training."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from einops import rearrange
from jaxtyping import Bool, Float, Int, UInt8
from torch import Tensor
from torch.nn import functional

from fewshot.models.heads.agglomerative import cluster_means, cluster_positions
from fewshot.models.heads.base import Formerly, Head, Support, register_head
from fewshot.models.heads.one_vs_background import join_ways, shown
from fewshot.models.heads.pooling import pooled_unit
from fewshot.models.prototypes import grid_weights, masked_average, mean_of_present


@dataclass(frozen=True)
class INSID3Settings:
    """How positions are matched and clusters kept.

    Attributes:
        side: most positions along a side of support and query; features are averaged to it.
        similarity: least mean cosine of two clusters that are joined (tau); 0.6 in the paper.
        keep: clusters whose score is above it are foreground; 0.2 in the paper.
        directions: how many positional directions are removed, see `positional_basis`. The
            paper removes 500 of a vision transformer's, found in a blank image; convolutional
            features hardly depend on position, and few supports represent content rather than
            position, so that 0 is the default.
        scale: logit of a cluster whose score is 1; minus that of one whose score is 0.
        certain: logit of what the support alone decides, see
            `fewshot.models.heads.one_vs_background.join_ways`.
    """

    side: int = 32
    similarity: float = 0.6
    keep: float = 0.2
    directions: int = 0
    scale: float = 10.0
    certain: float = 20.0


@register_head("insid3", INSID3Settings(), formerly=Formerly("matching", "MatchingSettings"))
class INSID3Head(Head):
    """Finds the clusters of the query that fit the support, forth and back.

    1. Features are freed of positional directions and centred between foreground and background.
    2. A position is a candidate if its cosine with the class's prototype is above 0 (forth), and
       if its nearest position in the support lies inside the mask (back), in at least half of the
       shots that show the class.
    3. The query's positions are clustered, with the features as they came.
    4. Of the clusters with candidates, the one most like the prototype is the seed.
    5. A cluster's score is cross · intra · area: the mean cosine of its positions with the
       prototype, the cosine of its mean with the seed's, and the share of it that are candidates
       (1 for the seed). Its logit is above 0 if the score is above `keep`.

    Without any candidate all scores are 0. Each way is separated from its background by itself.
    Matching and clustering have no gradient, the cosines in the score have. Unknown positions of
    the support are in no prototype and are nearest to none.

    Differs from the paper: positional directions come from the support (see `positional_basis`)
    instead of a blank image; the features are centred, since those of convolutional networks
    have a common direction that would make every cosine positive; without candidates nothing is
    found.

    Paper: Cuttano et al., INSID3: training-free in-context segmentation with DINOv3, CVPR 2026.
    """

    trainable = False
    not_exportable = "clustering, by which the head decides, cannot be a part of a graph"

    def __init__(self, settings: INSID3Settings | None = None) -> None:
        super().__init__(settings or INSID3Settings())

    def encode_support(
        self,
        support_features: Float[Tensor, "batch way shot channel rows columns"],
        support_masks: UInt8[Tensor, "batch way shot height width"],
    ) -> Support:
        """Keep the positions, which are inside, and the prototypes; see `Head`."""
        size = support_features.shape[-2:]
        rows, columns = (min(self.settings.side, entries) for entries in size)
        inside = grid_weights(support_masks == 1, rows, columns)
        outside = grid_weights(support_masks == 0, rows, columns)
        known = (inside + outside) > 0
        fine = grid_weights((support_masks == 0) | (support_masks == 1), *size)
        maps = pooled_unit(support_features * fine[:, :, :, None], (rows, columns))
        basis = positional_basis(maps, known, self.settings.directions)
        freed = functional.normalize(without(maps, basis), dim=3)
        foreground = mean_of_present(*masked_average(freed, inside))[0]
        background = mean_of_present(*masked_average(freed, outside))[0]
        centre = (foreground + background) / 2
        centred = functional.normalize(freed - centre[:, :, None, :, None, None], dim=3)
        prototypes = functional.normalize(foreground - centre, dim=2)
        return Support(
            {
                "positions": rearrange(centred, "b w s c i j -> b w s (i j) c"),
                "inside": covered(inside, outside).flatten(3),
                "known": known.flatten(3),
                "prototypes": prototypes,
                "centre": centre,
                "basis": basis,
                **shown(support_masks),
            }
        )

    def logits(
        self, support: Support, query_features: Float[Tensor, "batch query channel rows columns"]
    ) -> Float[Tensor, "batch query label rows columns"]:
        """Match and cluster, one query after another; see `Head`."""
        size = query_features.shape[-2:]
        rows, columns = (min(self.settings.side, entries) for entries in size)
        maps = pooled_unit(query_features, (rows, columns))
        freed = functional.normalize(without(maps, support.tensors["basis"]), dim=2)
        vectors = rearrange(maps, "b q c i j -> b q (i j) c")
        freed = rearrange(freed, "b q c i j -> b q (i j) c")
        scores = []
        for number in range(len(vectors)):
            tensors = {name: tensor[number] for name, tensor in support.tensors.items()}
            for plain, debiased in zip(vectors[number], freed[number], strict=True):
                clusters = cluster_positions(plain, self.settings.similarity)
                for way in range(len(tensors["prototypes"])):
                    own = {name: tensors[name][way] for name in _OWN}
                    centred = functional.normalize(debiased - own["centre"], dim=1)
                    found = candidates(centred, own)
                    scores.append(
                        cluster_scores(plain, centred, clusters, found, own["prototypes"])
                    )
        grid = torch.stack(scores).reshape(*vectors.shape[:2], -1, rows, columns)
        logits = self.settings.scale * balanced(grid, self.settings.keep)
        full = functional.interpolate(
            logits.flatten(0, 1), size=size, mode="bilinear", align_corners=False
        )
        return join_ways(
            full.unflatten(0, logits.shape[:2]), support.tensors, self.settings.certain
        )


_OWN = ("positions", "inside", "known", "prototypes", "centre")
"""Tensors of a support that each way has of its own."""


def balanced(scores: Float[Tensor, "*set"], keep: float) -> Float[Tensor, "*set"]:
    """Bend scores to a line through -1 at 0, 0 at `keep` and 1 at 1.

    Logits are enlarged linearly: were the kept clusters farther from 0 than the others, they
    would grow by that.

    >>> balanced(torch.tensor([0.0, 0.1, 0.2, 0.6, 1.0]), 0.2)
    tensor([-1.0000, -0.5000,  0.0000,  0.5000,  1.0000])
    """
    above = scores - keep
    return torch.where(above > 0, above / (1 - keep), above / keep)


def positional_basis(
    maps: Float[Tensor, "batch way shot channel rows columns"],
    known: Bool[Tensor, "batch way shot rows columns"],
    directions: int,
) -> Float[Tensor, "batch channel direction"]:
    """Find the directions in which features differ by where they are.

    What the mean map of many images still shows is place, not content; the leading left singular
    vectors of that map, less its mean over the positions, span it. The mean of one or of few
    images is mostly content, so directions are to be removed only with some ten supports or more.

    Args:
        maps: features of all images.
        known: positions that count.
        directions: how many; at most as many as there are channels or positions.

    Returns:
        Orthonormal directions.
    """
    weights = known.flatten(1, 2).to(maps.dtype)
    count = weights.sum(dim=1)
    total = torch.einsum("bscij,bsij->bcij", maps.flatten(1, 2), weights)
    mean = (total / count.clamp(min=1)[:, None]).flatten(2)
    seen = (count > 0).flatten(1).to(maps.dtype)[:, None]
    centre = (mean * seen).sum(dim=2) / seen.sum(dim=2).clamp(min=1)
    left, _, _ = torch.linalg.svd(((mean - centre[..., None]) * seen).detach(), full_matrices=False)
    return left[..., :directions].contiguous()


def without(
    maps: Float[Tensor, "batch *set channel rows columns"],
    basis: Float[Tensor, "batch channel direction"],
) -> Float[Tensor, "batch *set channel rows columns"]:
    """Project features onto what is orthogonal to the basis."""
    shares = torch.einsum("b...cij,bck->b...kij", maps, basis)
    return maps - torch.einsum("b...kij,bck->b...cij", shares, basis)


def covered(
    inside: Float[Tensor, "*set rows columns"], outside: Float[Tensor, "*set rows columns"]
) -> Bool[Tensor, "*set rows columns"]:
    """Positions of a grid that belong to a mask: those of which it covers at least half.

    A structure too thin to cover half of any position has those that it covers the most.
    """
    share = inside / (inside + outside).clamp(min=1e-6)
    most = share.amax(dim=(-2, -1), keepdim=True)
    return (share > 0) & (share >= most.clamp(max=0.5))


def candidates(
    query: Float[Tensor, "position channel"], way: Mapping[str, Tensor]
) -> Bool[Tensor, " position"]:
    """Match one query with one way, forth and back.

    Args:
        query: centred features of unit length.
        way: "prototypes" [channel], "positions" [shot place channel] of unit length, "inside" and
            "known" [shot place].

    Returns:
        Whether a position is like the prototype, and has its nearest known place inside the mask
        in at least half of the shots that have one.
    """
    votes = torch.zeros(len(query), dtype=torch.long, device=query.device)
    for places, inside, known in zip(way["positions"], way["inside"], way["known"], strict=True):
        if inside.any():
            nearest = (query @ places.T).masked_fill(~known, -torch.inf).argmax(dim=1)
            votes += inside[nearest]
    voters = int(way["inside"].any(dim=1).sum())
    return (query @ way["prototypes"] > 0) & (2 * votes >= voters)


def cluster_scores(
    plain: Float[Tensor, "position channel"],
    centred: Float[Tensor, "position channel"],
    clusters: Int[Tensor, " position"],
    found: Bool[Tensor, " position"],
    prototype: Float[Tensor, " channel"],
) -> Float[Tensor, " position"]:
    """Give every position its cluster's score, cross · intra · area; see `INSID3Head`.

    Args:
        plain: features by which clusters are compared with the seed.
        centred: features of unit length that are compared with the prototype.
        clusters: number of each position's cluster.
        found: the candidates.
        prototype: of unit length.

    Returns:
        Scores of at most 1; all 0 without any candidate.
    """
    if not found.any():
        return 0 * (centred @ prototype)  # zeros with a gradient, of zero
    area = cluster_means(found.to(centred.dtype)[:, None], clusters)[:, 0]
    means = cluster_means(centred, clusters)
    likeness = functional.normalize(means, dim=1) @ prototype
    seed = int(likeness.masked_fill(area == 0, -torch.inf).argmax())
    own = functional.normalize(cluster_means(plain, clusters), dim=1)
    area[seed] = 1.0
    return ((means @ prototype) * (own @ own[seed]) * area)[clusters]
