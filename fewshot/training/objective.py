"""What episodic training minimises, as a module whose forward pass is the loss."""

from torch import Tensor, nn

from episodes.episode import EpisodeBatch
from fewshot.segmenter import Segmenter
from fewshot.training.alignment import alignment_loss
from fewshot.training.pixel_loss import segmentation_loss


class EpisodeObjective(nn.Module):
    """Segment the queries with their supports, and the supports with the predicted queries.

    Args:
        segmenter: what is trained.
        alignment: weight of the prototype alignment loss; 0 leaves it out.
        class_weights: of the background and of the classes in the queries' loss, in place of the
            head's own; the alignment keeps the head's.

    Paper: Wang et al., PANet, ICCV 2019.
    """

    def __init__(
        self,
        segmenter: Segmenter,
        alignment: float,
        class_weights: tuple[float, float] | None = None,
    ) -> None:
        super().__init__()
        self.segmenter, self.alignment = segmenter, alignment
        self.class_weights = class_weights

    def forward(self, batch: EpisodeBatch) -> dict[str, Tensor]:
        """Return the "loss" to be minimised, and its parts."""
        head = self.segmenter.head
        support = self.segmenter.encode(batch.support_images)
        query = self.segmenter.encode(batch.query_images)
        condensed = head.condense(support, batch.support_masks)
        logits = head.score(condensed, query)
        weights = self.class_weights or head.class_weights
        # What fits a classifier to the support is balanced, so what judges the fit is, too.
        balanced = head.balanced and weights is None
        losses = {
            "query_loss": segmentation_loss(
                logits, batch.query_labels, balanced=balanced, class_weights=weights
            )
        }
        total = losses["query_loss"]
        auxiliary = head.auxiliary_loss(condensed, query)
        if auxiliary is not None:
            losses["auxiliary_loss"] = auxiliary
            total = total + auxiliary
        if self.alignment:
            losses["alignment_loss"] = alignment_loss(
                head, support, batch.support_masks, query, logits
            )
            total = total + self.alignment * losses["alignment_loss"]
        return {"loss": total, **losses}
