"""Lovász-softmax loss: the convex surrogate of the Jaccard loss."""

import torch
from jaxtyping import Bool, Float, Int, Integer
from torch import Tensor

from fewshot.ignored import DEFAULT
from fewshot.losses.inputs import Reduction, prepare
from fewshot.losses.overlap import mean_over_classes
from fewshot.losses.reductions import reduce_images
from fewshot.registry import register_loss


@register_loss("lovasz")
def lovasz_loss(
    logits: Float[Tensor, "batch class *space"],
    target: Integer[Tensor, "batch *space"],
    *,
    ignore_index: int = DEFAULT,
    reduction: Reduction = "mean",
    include_background: bool = True,
) -> Float[Tensor, "*result"]:
    """Return the Lovász extension of the Jaccard loss, averaged over classes.

    With the errors `|t - p|` of a class sorted from the largest, `sum_k error[k] (J[k] - J[k-1])`,
    where `J[k]` is the Jaccard loss if exactly the k worst pixels are wrong. A class that the
    image has not costs its largest probability.

    Args:
        logits: `[batch class *space]`, any floating dtype; computed in float32 or float64.
        target: `[batch *space]`, labels `0..class-1` or `ignore_index`.
        ignore_index: the label of pixels that do not count, as if they were cropped away.
        reduction: "none" gives one value an image, "sum" their sum, "mean" their mean over the
            images that have a known pixel.
        include_background: False leaves class 0 out of the average.

    Returns:
        `[batch]` for "none", else a scalar; in 0..1 an image, 0 if all its pixels are ignored.

    Raises:
        TypeError: logits not floating or target not integer.
        ValueError: shapes, labels or settings out of range.

    Example:
        Probabilities of class 0: 1/4 and 3/4, both pixels are of class 0. Errors 3/4 and 1/4;
        one wrong of two gives J = 1/2, two give 1: class 0 costs 3/4 / 2 + 1/4 / 2 = 1/2.
        Class 1 is absent and costs its largest probability, 3/4.

        >>> logits = torch.tensor([[[1.0, 3.0], [3.0, 1.0]]]).log()
        >>> lovasz_loss(logits, torch.tensor([[0, 0]]))
        tensor(0.6250)

    Paper:
        Berman et al. (2018) The Lovász-Softmax Loss: A Tractable Surrogate for the Optimization of
        the Intersection-over-Union Measure in Neural Networks. CVPR.
    """
    pixels = prepare(logits, target, ignore_index, reduction)
    one_hot = pixels.one_hot()
    errors = (one_hot - pixels.logits.softmax(1)).abs()
    # The extension is linear while the order of the errors stays, so its slopes are constants.
    slopes = jaccard_slopes(errors.detach(), one_hot.bool(), pixels.known)
    values = mean_over_classes((errors * slopes).sum(-1), include_background)
    return reduce_images(values, pixels.known_counts(), reduction)


@torch.no_grad()
def jaccard_slopes(
    errors: Float[Tensor, "batch class pixel"],
    foreground: Bool[Tensor, "batch class pixel"],
    known: Bool[Tensor, "batch pixel"] | None,
) -> Float[Tensor, "batch class pixel"]:
    """Return by how much the Jaccard loss grows when each pixel joins the wrong ones.

    Pixels join in the order of their errors. With I pixels of the class still right and U in the
    union after the step, a pixel of the class adds `1 / U` and another `I / (U (U - 1))`. These
    closed forms keep all digits; differences of neighbouring Jaccard values in float32 lose them.

    Args:
        errors: `[batch class pixel]`, >= 0.
        foreground: `[batch class pixel]`, which pixels have the class.
        known: `[batch pixel]`, which pixels count; None for all. The others get 0.

    Returns:
        `[batch class pixel]`, each row sums to 1, or to 0 if no pixel is known.

    Example:
        The pixel of the class comes second: 1 / 2 for the first (I = 1, U = 2), then 1 / 2.

        >>> errors, foreground = torch.tensor([[[0.9, 0.2, 0.7]]]), torch.tensor([[[0, 0, 1]]])
        >>> jaccard_slopes(errors, foreground.bool(), None)
        tensor([[[0.5000, 0.0000, 0.5000]]])
    """
    slopes = torch.empty_like(errors)
    # One class after the other: sorting all at once takes several times the memory.
    for index in range(errors.shape[1]):
        _slopes_of_class(errors[:, index], foreground[:, index], known, slopes[:, index])
    return slopes


def _slopes_of_class(errors: Tensor, foreground: Tensor, known: Tensor | None, out: Tensor) -> None:
    if known is not None:
        errors = errors.masked_fill(~known, -1.0)
    order = _descending(errors)
    joins = foreground.gather(-1, order)
    wrong = joins.cumsum(-1, dtype=torch.int32)
    size = foreground.sum(-1, keepdim=True, dtype=torch.int32)
    rank = torch.arange(1, errors.shape[-1] + 1, dtype=torch.int32, device=errors.device)
    union = (size + rank - wrong).to(errors.dtype)
    right = (size - wrong).to(errors.dtype)
    slopes = torch.where(joins, 1.0 / union, right / (union * (union - 1.0)).clamp_min(1.0))
    # Nothing is right to begin with where the class is absent: the first pixel makes the loss 1.
    slopes[..., 0] += (size == 0).squeeze(-1)
    out.scatter_(-1, order, slopes)
    if known is not None:
        out.mul_(known)


def _descending(
    errors: Float[Tensor, "batch pixel"],
) -> Int[Tensor, "batch pixel"]:
    if errors.device.type != "cpu" or errors.dtype != torch.float32:
        return errors.argsort(-1, descending=True)
    # On the CPU a sort with indices is 15 times slower than NumPy's vectorised sort of integers.
    # The bits of non-negative floats are ordered as the floats are: negated in the upper half of
    # an int64, with the index in the lower half, they sort the pixels. The -1 of ignored pixels
    # is clamped to the pattern -1, which sorts behind the 0 of perfect ones.
    bits = errors.contiguous().view(torch.int32).clamp_min(-1).long()
    keys = bits.neg_().mul_(2**32).add_(torch.arange(errors.shape[-1]))
    keys.numpy().sort(axis=-1)
    return keys.bitwise_and_(2**32 - 1)
