"""Soft overlap counts, from which the region losses are derived."""

from typing import NamedTuple

import torch
from jaxtyping import Float, Integer
from torch import Tensor

from fewshot.losses.inputs import Pixels


class Overlap(NamedTuple):
    """Soft counts of pixels.

    Attributes:
        intersection: `[batch class]`, sum of the probability of the class over its own pixels.
        predicted: `[batch class]`, sum of the probability of the class over all known pixels.
        actual: `[batch class]`, number of pixels that have the class.
        known: `[batch]`, number of pixels that are not ignored.
    """

    intersection: Float[Tensor, "batch class"]
    predicted: Float[Tensor, "batch class"]
    actual: Float[Tensor, "batch class"]
    known: Integer[Tensor, "batch"]


def soft_overlap(pixels: Pixels) -> Overlap:
    """Count, with softmax probabilities, how predicted and actual classes overlap.

    Args:
        pixels: the checked inputs of a loss.

    Returns:
        The counts, in pixels.

    Example:
        >>> from fewshot.losses.inputs import prepare
        >>> pixels = prepare(torch.zeros(1, 2, 4), torch.tensor([[0, 0, 0, 1]]), 255, "mean")
        >>> soft_overlap(pixels).intersection
        tensor([[1.5000, 0.5000]])
    """
    probabilities = pixels.logits.softmax(1)
    if pixels.known is not None:
        probabilities = probabilities * pixels.known.unsqueeze(1)
    one_hot = pixels.one_hot()
    return Overlap(
        (probabilities * one_hot).sum(-1),
        probabilities.sum(-1),
        one_hot.sum(-1),
        pixels.known_counts(),
    )


def penalise_absent(
    error: Float[Tensor, "batch class"],
    size: Float[Tensor, "batch class"],
    overlap: Overlap,
) -> Float[Tensor, "batch class"]:
    """Return error / size of each class, or its share of false positives if no pixel has it.

    A ratio of overlaps is the same for a small and a large false alarm where the class is absent:
    it is 1 for both, with no gradient. What can be learned there is to predict less of the class,
    so the loss is the part of the known pixels that its probability takes.

    Args:
        error: `[batch class]`, the numerator where the class is present.
        size: `[batch class]`, the denominator where the class is present, > 0 there.
        overlap: the counts that both come from.

    Returns:
        `[batch class]`, 0 for an image whose pixels are all ignored.

    Example:
        >>> present, absent = torch.tensor([[8.0, 0.0]]), torch.tensor([[6.0, 2.0]])
        >>> overlap = Overlap(torch.tensor([[6.0, 0.0]]), absent, present, torch.tensor([8]))
        >>> penalise_absent(present - absent, present + absent, overlap)
        tensor([[0.1429, 0.2500]])
    """
    present = overlap.actual > 0
    # The unused branch of `where` still gets a gradient: 0 / 0 there would turn it into NaN.
    ratio = error / torch.where(present, size, 1.0)
    false_alarm = overlap.predicted / overlap.known.clamp_min(1).unsqueeze(1)
    return torch.where(present, ratio, false_alarm)


def mean_over_classes(
    values: Float[Tensor, "batch class"], include_background: bool
) -> Float[Tensor, "batch"]:
    """Average the values of the classes of each image.

    Args:
        values: `[batch class]`.
        include_background: False leaves class 0 out.

    Returns:
        `[batch]`.

    Example:
        >>> mean_over_classes(torch.tensor([[0.0, 0.2, 0.4]]), include_background=False)
        tensor([0.3000])
    """
    return values.mean(1) if include_background else values[:, 1:].mean(1)
