"""What the training of gradient-based segmenters minimises."""

import torch
from torch import Tensor, nn

from episodes.sampling.episode import EpisodeBatch
from fewshot.losses.episode_loss import EpisodeLoss
from fewshot.models.meta_learning import GradientNetwork


class GradientObjective(nn.Module):
    """The loss of the queries after adapting to the support; for Reptile, the way to go.

    Args:
        network: what is trained.
        loss: of the queries; by default cross-entropy, in which background and classes count alike.
            Reptile has none.
    """

    def __init__(self, network: GradientNetwork, loss: EpisodeLoss | None = None) -> None:
        super().__init__()
        self.network, self.loss = network, loss or EpisodeLoss()

    def forward(self, batch: EpisodeBatch) -> dict[str, Tensor]:
        """Return the "loss" to be minimised, and the loss of the queries."""
        if self.network.head.settings.method != "reptile":
            logits = self.network(batch.support_images, batch.support_masks, batch.query_images)
            loss = self.loss(logits, batch.query_labels, balanced=True)
            return {"loss": loss, "query_loss": loss}
        return {"loss": self._distance(batch)}

    def _distance(self, batch: EpisodeBatch) -> Tensor:
        """Half the squared distance to the adapted weights: its gradient is Reptile's direction.

        Support and query are one set for Reptile; a query shows the way's own pixels.
        """
        own = dict(self.network._model().named_parameters())
        total = torch.zeros((), device=self.network.device)
        count = 0
        for episode in range(len(batch.support_images)):
            for way, (shots, mask) in enumerate(
                zip(batch.support_images[episode], batch.support_masks[episode], strict=True)
            ):
                labels = batch.query_labels[episode]
                target = torch.where(labels == way + 1, 1, torch.where(labels == 0, 0, 255))
                images = torch.cat([shots, batch.query_images[episode]])
                masks = torch.cat([mask, target.to(torch.uint8)])
                adapted = self.network.adapt(images, masks, learning=True)
                total = total + sum(
                    (weight - adapted[name].detach()).square().sum() / 2
                    for name, weight in own.items()
                )
                count += 1
        return total / count
