"""What episodic training minimises, as a module whose forward pass is the loss."""

from torch import Tensor, nn

from episodes.sampling.episode import EpisodeBatch
from fewshot.losses.episode_loss import EpisodeLoss
from fewshot.models.network import FewShotNetwork
from fewshot.training.alignment_loss import alignment_loss


class EpisodeObjective(nn.Module):
    """Segment the queries with their supports, and the supports with the predicted queries.

    Args:
        network: what is trained.
        alignment: weight of the prototype alignment loss; 0 leaves it out.
        class_weights: of the background and of the classes in the queries' loss, in place of the
            head's own; the alignment keeps the head's.
        loss: of the queries and of the alignment; by default cross-entropy.

    Paper: Wang et al., PANet, ICCV 2019.
    """

    def __init__(
        self,
        network: FewShotNetwork,
        alignment: float,
        class_weights: tuple[float, float] | None = None,
        loss: EpisodeLoss | None = None,
    ) -> None:
        super().__init__()
        self.network, self.alignment = network, alignment
        self.class_weights, self.loss = class_weights, loss or EpisodeLoss()

    def forward(self, batch: EpisodeBatch) -> dict[str, Tensor]:
        """Return the "loss" to be minimised, and its parts."""
        head = self.network.head
        support = self.network.encode(batch.support_images)
        query = self.network.encode(batch.query_images)
        condensed = head.encode_support(support, batch.support_masks)
        logits = head.logits(condensed, query)
        weights = self.class_weights or head.class_weights
        # What fits a classifier to the support is balanced, so what judges the fit is, too.
        balanced = head.balanced and weights is None
        losses = {
            "query_loss": self.loss(
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
                head, support, batch.support_masks, query, logits, self.loss
            )
            total = total + self.alignment * losses["alignment_loss"]
        return {"loss": total, **losses}
