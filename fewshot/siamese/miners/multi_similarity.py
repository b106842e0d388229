"""Multi-similarity mining: pairs that are hard in comparison with the other kind."""

import torch
from jaxtyping import Float
from torch import Tensor

from fewshot.siamese.pair_masks import PairMasks


@torch.no_grad()
def relatively_hard(
    similarities: Float[Tensor, "anchor reference"], pair_masks: PairMasks, epsilon: float = 0.1
) -> PairMasks:
    """Keep negatives nearly as alike as the least alike positive, and the reverse.

    Negatives with s + epsilon > the anchor's smallest positive s; positives with s - epsilon < its
    largest negative s. An anchor without positives keeps no negative, and the reverse.

    Args:
        similarities: e.g. cosines.
        pair_masks: which pairs are positive and negative.
        epsilon: the slack, in units of similarity.

    Paper: Wang et al., Multi-similarity loss with general pair weighting, CVPR 2019, section 4.2.
    """
    positive = similarities.masked_fill(~pair_masks.positives, torch.inf)
    negative = similarities.masked_fill(~pair_masks.negatives, -torch.inf)
    least = positive.amin(dim=1, keepdim=True)
    most = negative.amax(dim=1, keepdim=True)
    return PairMasks(
        pair_masks.positives & (similarities - epsilon < most),
        pair_masks.negatives & (similarities + epsilon > least),
    )
