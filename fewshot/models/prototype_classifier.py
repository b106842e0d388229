"""Few-shot classification by prototypes: a class is the mean of its examples' embeddings."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from fewshot.models.embedding_network import EmbeddingNetwork


def mean_prototypes(
    embeddings: Float[Tensor, "*batch way shot dim"],
) -> Float[Tensor, "*batch way dim"]:
    """Average the embeddings of each class.

    >>> mean_prototypes(torch.tensor([[[0.0, 2.0], [2.0, 2.0]]]))
    tensor([[1., 2.]])
    """
    return embeddings.mean(dim=-2)


def prototype_logits(
    queries: Float[Tensor, "*batch query dim"], prototypes: Float[Tensor, "*batch way dim"]
) -> Float[Tensor, "*batch query way"]:
    """Compute minus the squared Euclidean distance of every query to every prototype.

    Its softmax over the ways is the probability of the classes.

    Paper: Snell et al., Prototypical networks for few-shot learning, NeurIPS 2017, equation 2.

    >>> prototype_logits(torch.tensor([[0.0, 0.0]]), torch.tensor([[3.0, 4.0], [0.0, 1.0]]))
    tensor([[-25.,  -1.]])
    """
    return -(queries[..., :, None, :] - prototypes[..., None, :, :]).square().sum(dim=-1)


class PrototypeClassifier(nn.Module):
    """Gives each query the class of the nearest prototype.

    Args:
        network: of the embeddings. Of embeddings of unit length all distances are small, so that
            it learns little from them: train one with `EmbeddingSettings(normalise=False)`.
    """

    def __init__(self, network: EmbeddingNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(
        self,
        support_images: Float[Tensor, "batch way shot channel height width"],
        query_images: Float[Tensor, "batch query channel height width"],
    ) -> Float[Tensor, "batch query way"]:
        """Compute the logits of the classes for every query; see `prototype_logits`.

        Args:
            support_images: in [0, 1], the examples of each class.
            query_images: in [0, 1], to be classified.
        """
        batch, way, shot = support_images.shape[:3]
        # All images at once, so that layers that normalise over a batch see one.
        images = torch.cat([support_images.flatten(1, 2), query_images], dim=1)
        embeddings = self.network(images.flatten(0, 1)).unflatten(0, (batch, -1))
        support, queries = embeddings.split([way * shot, query_images.shape[1]], dim=1)
        prototypes = mean_prototypes(support.unflatten(1, (way, shot)))
        return prototype_logits(queries, prototypes)
