"""Agglomerative clustering of the positions of one feature map."""

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional


def cluster_positions(
    features: Float[Tensor, "position channel"], similarity: float
) -> Int[Tensor, " position"]:
    """Join the two clusters whose members are the most alike on average, again and again.

    It ends when no two clusters have a mean cosine of at least `similarity`. Time grows with the
    square of the number of positions: 1,024 take some 15 ms.

    Args:
        features: of any length but zero; they are compared by cosine.
        similarity: least mean cosine between the members of two clusters that are joined, -1..1.

    Returns:
        The number of each position's cluster, 0, 1, ...; large or small in no order.
    """
    # Imported here: it takes a while, and all heads are imported together.
    from scipy.cluster.hierarchy import fcluster, linkage
    from scipy.spatial.distance import squareform

    if len(features) < 2:
        return torch.zeros(len(features), dtype=torch.long, device=features.device)
    unit = functional.normalize(features.detach().float(), dim=1)
    distances = (1 - unit @ unit.T).clamp(min=0).double().cpu().numpy()
    # Not exactly symmetric by rounding, and only one half is used.
    tree = linkage(squareform(distances, checks=False), method="average")
    labels = fcluster(tree, t=1 - similarity, criterion="distance") - 1
    return torch.as_tensor(labels, dtype=torch.long, device=features.device)


def cluster_means(
    features: Float[Tensor, "position channel"], clusters: Int[Tensor, " position"]
) -> Float[Tensor, "cluster channel"]:
    """Average the features of each cluster."""
    members = functional.one_hot(clusters).to(features.dtype)
    return members.T @ features / members.sum(dim=0)[:, None]
