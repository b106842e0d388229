"""Cross-entropy between logits on a feature grid and labels on the image."""

import torch
from jaxtyping import Float, UInt8
from torch import Tensor
from torch.nn import functional

from episodes.io.pixels import IGNORE
from fewshot.losses.cross_entropy import cross_entropy_loss


def segmentation_loss(
    logits: Float[Tensor, "batch query label rows columns"],
    target: UInt8[Tensor, "batch query height width"],
    *,
    balanced: bool = False,
    class_weights: tuple[float, float] | None = None,
) -> Float[Tensor, ""]:
    """Cross-entropy at image resolution: the mean over episodes of the mean over known pixels.

    Each episode counts alike, however many of its pixels are unknown, so that the loss of a batch
    is the mean of the losses of its parts: that is what several processes rely on.

    Args:
        logits: at feature resolution; brought to the target's size bilinearly.
        target: 0 background, 1..label-1, 255 unknown.
        balanced: take the mean over the labels of an episode of the mean over their pixels, so
            that a small structure counts as much as its surroundings.
        class_weights: of the background's pixels and of all classes' pixels; the mean over an
            episode's pixels is weighted with them.

    Returns:
        The mean loss; 0, with a gradient of 0, where every pixel is unknown.

    Raises:
        ValueError: balanced and class_weights exclude each other.

    >>> logits = torch.tensor([0.0, 2.0]).view(1, 1, 2, 1, 1)
    >>> target = torch.tensor([[1, 255]], dtype=torch.uint8)[None, None]
    >>> round(segmentation_loss(logits, target).item(), 4)  # log(1 + exp(-2)), of one known pixel
    0.1269
    """
    if balanced and class_weights is not None:
        raise ValueError(f"balanced leaves no room for class_weights {class_weights}; give one")
    values = cross_entropy_loss(
        at_image_size(logits, target), target.flatten(0, 1), ignore_index=IGNORE, reduction="none"
    ).unflatten(0, target.shape[:2])
    flat, labels = values.flatten(1), target.flatten(1).long()
    if class_weights is not None:
        table = flat.new_tensor(class_weights)
        weights = table[labels.clamp(max=1)] * (labels != IGNORE)
        area = weights.sum(dim=1)
        mean = (weights * flat).sum(dim=1) / torch.where(area > 0, area, 1)
        return mean.mean()
    if not balanced:
        return (flat.sum(dim=1) / (labels != IGNORE).sum(dim=1).clamp(min=1)).mean()
    totals = flat.new_zeros(len(flat), IGNORE + 1).scatter_add(1, labels, flat)[:, :IGNORE]
    ones = torch.ones_like(flat)
    areas = flat.new_zeros(len(flat), IGNORE + 1).scatter_add(1, labels, ones)[:, :IGNORE]
    present = (areas > 0).sum(dim=1).clamp(min=1)
    return ((totals / areas.clamp(min=1)).sum(dim=1) / present).mean()


def at_image_size(
    logits: Float[Tensor, "batch query label rows columns"],
    target: UInt8[Tensor, "batch query height width"],
) -> Float[Tensor, "item label height width"]:
    """Bring logits to the size of their labels, bilinearly, in float32."""
    return functional.interpolate(
        logits.flatten(0, 1).float(), size=target.shape[-2:], mode="bilinear", align_corners=False
    )
