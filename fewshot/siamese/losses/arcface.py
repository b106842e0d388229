"""ArcFace: classification by angles to class centres, the true class at a disadvantage."""

import math

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor, nn
from torch.nn import functional

from fewshot.numerics import root
from fewshot.siamese.distances import cosine_similarities
from fewshot.siamese.losses.base import PairLoss, PairLossOptions, mean_or_zero, register_pair_loss
from fewshot.siamese.pair_masks import UNKNOWN


def check_class_labels(labels: Int64[Tensor, "item"], classes: int) -> None:
    """Refuse labels that name no class.

    Raises:
        ValueError: a label is neither -1 nor from 0 to classes - 1.
    """
    wrong = labels[(labels != UNKNOWN) & ((labels < 0) | (labels >= classes))]
    if len(wrong):
        raise ValueError(
            f"label {int(wrong[0])} names none of {classes} classes; expected 0 to {classes - 1}, "
            "or -1 for unknown (fewshot.siamese.pair_masks.encode_labels numbers names)"
        )


def arcface_loss(
    cosines: Float[Tensor, "item class"],
    labels: Int64[Tensor, "item"],
    margin: float = 0.5,
    scale: float = 64.0,
) -> Float[Tensor, ""]:
    """Cross-entropy of scale * cos(angle + margin) at the true class, scale * cos(angle) elsewhere.

    Beyond angles of pi - margin, where the cosine would rise again, it goes on as
    cos(angle) - margin * sin(margin). Items of unknown class (-1) are left out.

    Args:
        cosines: between embeddings and class centres.
        labels: 0..class-1, or -1.
        margin: in radians, 0 to pi.
        scale: of the logits.

    Paper: Deng et al., ArcFace: additive angular margin loss for deep face recognition, CVPR 2019.
    """
    check_class_labels(labels, cosines.shape[1])
    known = labels != UNKNOWN
    cosines, labels = cosines[known], labels[known]
    true = cosines.gather(1, labels[:, None])
    # cos(a + m) = cos a cos m - sin a sin m; the arc cosine has no finite slope at its ends.
    sines = root((1.0 - true.square()).clamp(min=0))
    moved = true * math.cos(margin) - sines * math.sin(margin)
    beyond = true - margin * math.sin(margin)
    harder = torch.where(true > -math.cos(margin), moved, beyond)
    logits = scale * cosines.scatter(1, labels[:, None], harder)
    return mean_or_zero(functional.cross_entropy(logits, labels, reduction="none"), cosines)


class ArcFaceLoss(PairLoss):
    """`arcface_loss` with learned class centres.

    Args:
        classes: how many.
        dim: length of the embeddings.
        margin: as above.
        scale: as above.
        seed: of the first centres.
    """

    takes_references = False

    def __init__(
        self, classes: int, dim: int, margin: float = 0.5, scale: float = 64.0, seed: int = 0
    ) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        self.centres = nn.Parameter(torch.randn(classes, dim, generator=generator) / dim**0.5)
        self.margin, self.scale = margin, scale

    def forward(
        self,
        embeddings: Float[Tensor, "anchor dim"],
        labels: Int64[Tensor, "anchor"],
        references: Float[Tensor, "reference dim"] | None = None,
        reference_labels: Int64[Tensor, "reference"] | None = None,
        ignored_pairs: Bool[Tensor, "anchor reference"] | None = None,
    ) -> dict[str, Tensor]:
        """Return the loss; references play no part."""
        cosines = cosine_similarities(embeddings, self.centres)
        return {"loss": arcface_loss(cosines, labels, self.margin, self.scale)}


@register_pair_loss("arcface", margin=0.5, scale=64.0)
def _build(given: PairLossOptions) -> ArcFaceLoss:
    return ArcFaceLoss(given.classes, given.dim, float(given.margin), given.scale, given.seed)
