"""Proxy-anchor loss: a learned proxy for each class, compared with the whole batch."""

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor, nn

from fewshot.siamese.distances import cosine_similarities
from fewshot.siamese.losses.arcface import check_class_labels
from fewshot.siamese.losses.base import (
    PairLoss,
    PairLossOptions,
    log_one_plus_sum,
    register_pair_loss,
)
from fewshot.siamese.pair_masks import UNKNOWN


def proxy_anchor_loss(
    cosines: Float[Tensor, "item class"],
    labels: Int64[Tensor, "item"],
    alpha: float = 32.0,
    delta: float = 0.1,
) -> Float[Tensor, ""]:
    """Mean over the classes of the batch of log(1 + sum exp(-alpha (s - delta))) of their items,
    plus the mean over all classes of log(1 + sum exp(alpha (s + delta))) of the other items.

    Args:
        cosines: between embeddings and proxies.
        labels: 0..class-1, or -1 for unknown, which are left out.
        alpha: sharpness.
        delta: margin.

    Returns:
        0 where no item has a known class.

    Paper: Kim et al., Proxy anchor loss for deep metric learning, CVPR 2020.
    """  # noqa: D205
    classes = cosines.shape[1]
    check_class_labels(labels, classes)
    own = (labels[:, None] == torch.arange(classes, device=labels.device)).T
    others = ~own & (labels != UNKNOWN)
    pulled = log_one_plus_sum(-alpha * (cosines.T - delta), own)
    pushed = log_one_plus_sum(alpha * (cosines.T + delta), others)
    present = own.any(dim=1).sum()
    return pulled.sum() / present.clamp(min=1) + pushed.mean()


class ProxyAnchorLoss(PairLoss):
    """`proxy_anchor_loss` with learned proxies.

    Args:
        classes: how many.
        dim: length of the embeddings.
        alpha, delta: as above.
        seed: of the first proxies.
    """

    takes_references = False

    def __init__(
        self, classes: int, dim: int, alpha: float = 32.0, delta: float = 0.1, seed: int = 0
    ) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        self.proxies = nn.Parameter(torch.randn(classes, dim, generator=generator) / dim**0.5)
        self.alpha, self.delta = alpha, delta

    def forward(
        self,
        embeddings: Float[Tensor, "anchor dim"],
        labels: Int64[Tensor, "anchor"],
        references: Float[Tensor, "reference dim"] | None = None,
        reference_labels: Int64[Tensor, "reference"] | None = None,
        ignored_pairs: Bool[Tensor, "anchor reference"] | None = None,
    ) -> dict[str, Tensor]:
        """Return the loss; references play no part."""
        cosines = cosine_similarities(embeddings, self.proxies)
        return {"loss": proxy_anchor_loss(cosines, labels, self.alpha, self.delta)}


@register_pair_loss("proxy-anchor", margin=0.1, scale=32.0)
def _build(given: PairLossOptions) -> ProxyAnchorLoss:
    return ProxyAnchorLoss(given.classes, given.dim, given.scale, float(given.margin), given.seed)
