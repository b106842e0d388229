"""What episodic training minimises, as a module whose forward pass is the loss."""

from torch import Tensor, nn

from episodes.episode import EpisodeBatch
from fewshot.heads import ClassifierHead
from fewshot.segmenter import Segmenter
from fewshot.training.alignment import alignment_loss
from fewshot.training.pixel_loss import segmentation_loss


class EpisodeObjective(nn.Module):
    """Segment the queries with their supports, and the supports with the predicted queries.

    Args:
        segmenter: what is trained.
        alignment: weight of the prototype alignment loss; 0 leaves it out.

    Paper: Wang et al., PANet, ICCV 2019.
    """

    def __init__(self, segmenter: Segmenter, alignment: float) -> None:
        super().__init__()
        self.segmenter, self.alignment = segmenter, alignment

    def forward(self, batch: EpisodeBatch) -> dict[str, Tensor]:
        """Return the "loss" to be minimised, and its parts."""
        head = self.segmenter.head
        support = self.segmenter.encode(batch.support_images)
        query = self.segmenter.encode(batch.query_images)
        logits = head.score(head.condense(support, batch.support_masks), query)
        # What fits a classifier to the support is balanced, so what judges the fit is, too.
        balanced = isinstance(head, ClassifierHead)
        loss = segmentation_loss(logits, batch.query_labels, balanced=balanced)
        if not self.alignment:
            return {"loss": loss, "query_loss": loss}
        aligned = alignment_loss(head, support, batch.support_masks, query, logits)
        return {
            "loss": loss + self.alignment * aligned,
            "query_loss": loss,
            "alignment_loss": aligned,
        }
