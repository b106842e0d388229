"""Few-shot classification in the loop of training: the loss of prototypes on episodes."""

from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional

from episodes.sampling.dataloader import EpisodeBatches
from episodes.sampling.episode import EpisodeBatch
from episodes.sampling.sampler import EpisodeSource
from fewshot.models.embedding_network import EmbeddingNetwork, save_embedding
from fewshot.models.prototype_classifier import PrototypeClassifier
from fewshot.training.episodic import Task


class ClassificationObjective(nn.Module):
    """Computes the cross-entropy of the queries' classes.

    Args:
        classifier: `classifier(support_images, query_images)` gives logits [batch query way].
    """

    def __init__(self, classifier: nn.Module) -> None:
        super().__init__()
        self.classifier = classifier

    def forward(self, batch: EpisodeBatch) -> dict[str, Tensor]:
        """Return the "loss", and the "accuracy" on the queries."""
        logits = self.classifier(batch.support_images, batch.query_images)
        ways = torch.tensor([plan.query_ways for plan in batch.plans], device=logits.device)
        loss = functional.cross_entropy(logits.flatten(0, 1), ways.flatten())
        return {"loss": loss, "accuracy": (logits.argmax(dim=-1) == ways).float().mean()}


def classification_task(network: EmbeddingNetwork, source: EpisodeSource) -> Task:
    """Train an embedding network to classify the queries of episodes by prototypes.

    Args:
        network: trained in place; saved by `save_embedding`.
        source: of a training catalog of whole-image classes, e.g. of `with_image_classes`.
    """
    objective = ClassificationObjective(PrototypeClassifier(network)).to(network.device)
    return Task(objective, EpisodeBatches(source), partial(save_embedding, network))
