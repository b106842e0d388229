"""Cross-entropy in which every class has the same weight, however rare it is."""

from collections.abc import Sequence

import torch
from jaxtyping import Float, Integer
from torch import Tensor

from fewshot.ignored import DEFAULT
from fewshot.losses.cross_entropy import weighted_cross_entropy
from fewshot.losses.inputs import Reduction, prepare
from fewshot.registry import register_loss


@register_loss("balanced_cross_entropy")
def balanced_cross_entropy_loss(
    logits: Float[Tensor, "batch class *space"],
    target: Integer[Tensor, "batch *space"],
    *,
    ignore_index: int = DEFAULT,
    reduction: Reduction = "mean",
    frequencies: Sequence[float] | Float[Tensor, "class"] | None = None,
) -> Float[Tensor, "*result"]:
    """Return the cross-entropy weighted by the inverse frequency of the actual class.

    `-w[y] log p[y]` with `w[c] = 1 / (K f[c])`, where `f` are frequencies that sum to 1 over K
    classes. With the frequencies of the batch, "mean" is the mean over the present classes of the
    mean cross-entropy of their pixels; with two classes that is proportional to the paper's.

    Args:
        logits: `[batch class *space]`, any floating dtype; computed in float32 or float64.
        target: `[batch *space]`, labels `0..class-1` or `ignore_index`.
        ignore_index: the label of pixels that do not count, as if they were cropped away.
        reduction: "none" gives one value a pixel (0 where ignored), "sum" their sum, "mean" the
            sum divided by the weights `w[y]` of the known pixels.
        frequencies: `[class]`, > 0, counts or parts, e.g. those of the training set; None for
            those of the known pixels of this batch, where K counts the classes present.

    Returns:
        `[batch *space]` for "none", else a scalar; 0 if all pixels are ignored.

    Raises:
        TypeError: logits not floating or target not integer.
        ValueError: shapes, labels or settings out of range.

    Example:
        Probabilities 3/4 and 1/4 everywhere, three pixels of class 0 and one of class 1:
        (log 4/3 + log 4) / 2, as if the classes were equally frequent.

        >>> logits = torch.tensor([[[3.0] * 4, [1.0] * 4]]).log()
        >>> balanced_cross_entropy_loss(logits, torch.tensor([[0, 0, 0, 1]]))
        tensor(0.8370)

    Paper:
        Xie and Tu (2015) Holistically-Nested Edge Detection, equation 2. ICCV.
    """
    pixels = prepare(logits, target, ignore_index, reduction)
    if frequencies is None:
        weights = _inverse(pixels.class_counts)
    else:
        weights = _inverse(_checked(frequencies, pixels.logits))
    return weighted_cross_entropy(pixels, weights.to(pixels.logits.dtype), 0.0, reduction)


def _inverse(frequencies: Tensor) -> Tensor:
    present = frequencies > 0
    parts = frequencies.double() / frequencies.sum()
    return torch.where(present, 1.0 / (present.sum() * torch.where(present, parts, 1.0)), 0.0)


def _checked(frequencies: Sequence[float] | Tensor, logits: Tensor) -> Tensor:
    values = torch.as_tensor(frequencies, device=logits.device).detach()
    if values.shape != (logits.shape[1],):
        raise ValueError(
            f"frequencies have the shape {list(values.shape)}, expected [{logits.shape[1]}]: one "
            "for each channel of the logits, background included"
        )
    if not bool((values.isfinite() & (values > 0)).all()):
        raise ValueError(
            f"frequencies are {values.tolist()}, expected finite numbers > 0; a class that was "
            "that does not occur can have the count 1"
        )
    return values
