"""What episodic training minimises."""

from dataclasses import dataclass

from torch import Tensor

from episodes.episode import EpisodeBatch
from fewshot.segmenter import Segmenter
from fewshot.training.alignment import alignment_loss
from fewshot.training.pixel_loss import segmentation_loss


@dataclass(frozen=True)
class EpisodeLoss:
    """The parts of an episode's loss, and their sum to be minimised."""

    total: Tensor
    query: Tensor
    alignment: Tensor


def episode_loss(segmenter: Segmenter, batch: EpisodeBatch, alignment_weight: float) -> EpisodeLoss:
    """Segment the queries with their supports, and the supports with the predicted queries.

    Paper: Wang et al., PANet, ICCV 2019.
    """
    support = segmenter.encode(batch.support_images)
    query = segmenter.encode(batch.query_images)
    logits = segmenter.head.score(segmenter.head.condense(support, batch.support_masks), query)
    loss = segmentation_loss(logits, batch.query_labels)
    if not alignment_weight:
        return EpisodeLoss(loss, loss, loss * 0)
    aligned = alignment_loss(segmenter.head, support, batch.support_masks, query, logits)
    return EpisodeLoss(loss + alignment_weight * aligned, loss, aligned)
