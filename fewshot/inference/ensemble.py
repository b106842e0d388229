"""Several answers to one query made into one: of several supports, or of mirror images."""

from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from fewshot.inference.settings import Ensemble

_LEAST = 1e-6  # probability below which logarithms no longer fall


def fuse(
    logits: Float[Tensor, "support *set label rows columns"],
    how: Ensemble = "probabilities",
    weights: Float[Tensor, "support *set"] | None = None,
) -> Float[Tensor, "*set label rows columns"]:
    """Make one answer of those of several supports.

    - probabilities: their mean; a support that is sure outvotes one that is not.
    - logits: their mean, i.e. the geometric mean of the probabilities; one support that rules a
      label out can veto it.
    - weighted: the mean of probabilities with the weights of `similarity_weights`.
    - majority: each support has one vote a position; a tie is shared.

    Args:
        logits: of each support, for the same queries and classes.
        how: see above.
        weights: of each support, and of each query where they have a leading axis; summing to 1
            over the supports; of "weighted" alone.

    Returns:
        Logits: logarithms of probabilities, floored at 1e-6. One support alone comes back as
        it is, except by majority.

    Raises:
        ValueError: weights are missing, or given where they have no meaning.

    >>> import torch
    >>> two = torch.tensor([[[[0.0]], [[4.0]]], [[[1.0]], [[0.0]]]])
    >>> fuse(two).softmax(0)[1], fuse(two, "majority").softmax(0)[1]
    (tensor([[0.6255]]), tensor([[0.5000]]))
    """
    if (weights is not None) != (how == "weighted"):
        raise ValueError(f"weights belong to 'weighted' and to it alone; how is {how!r}")
    if how == "majority":
        votes = functional.one_hot(logits.argmax(dim=-3), logits.shape[-3])
        return votes.movedim(-1, -3).float().mean(dim=0).clamp(min=_LEAST).log()
    if len(logits) == 1:
        return logits[0]
    if how == "logits":
        return logits.log_softmax(dim=-3).mean(dim=0)
    shares = logits.softmax(dim=-3)
    if weights is None:
        return shares.mean(dim=0).clamp(min=_LEAST).log()
    return (weights[..., None, None, None] * shares).sum(dim=0).clamp(min=_LEAST).log()


def similarity_weights(
    supports: Float[Tensor, "support channel"],
    queries: Float[Tensor, "*set channel"],
    temperature: float = 0.05,
) -> Float[Tensor, "support *set"]:
    """Weigh supports by how much their images look like the query's.

    The softmax over the supports of cosine(support, query) / temperature.

    Args:
        supports, queries: pooled features, one vector an image.
        temperature: above 0; the smaller, the more the most similar support decides.

    >>> import torch
    >>> similarity_weights(torch.eye(2), torch.tensor([1.0, 0.0]), 1.0)
    tensor([0.7311, 0.2689])
    """
    units = functional.normalize(supports.float(), dim=-1)
    cosine = functional.normalize(queries.float(), dim=-1) @ units.T
    return (cosine / temperature).softmax(dim=-1).movedim(-1, 0)
