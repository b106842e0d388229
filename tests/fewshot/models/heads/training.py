"""A few steps on the two-colour task, after which a head with weights must be right."""

import torch

from fewshot.losses.episode_cross_entropy import segmentation_loss
from fewshot.models.heads import Head
from tests.fewshot.models.heads.family import two_colour_task


def share_right_after(head: Head, steps: int, rate: float = 0.01) -> float:
    """Train on stripes rolled by other amounts than the query's; return the query's share."""
    support, masks, query, truth = two_colour_task(batch=1, query=1)
    optimiser = torch.optim.Adam(head.parameters(), lr=rate)
    for step in range(steps):
        shift = 2 * step % 7
        optimiser.zero_grad()
        logits = head.logits(
            head.encode_support(support, masks), support[:, 0].roll(shift, dims=-1)
        )
        segmentation_loss(logits, masks[:, 0].roll(shift, dims=-1)).backward()
        optimiser.step()
    with torch.no_grad():
        labels = head.logits(head.encode_support(support, masks), query).argmax(dim=2)
    return float((labels == truth).float().mean())
