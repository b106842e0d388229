"""Boundary loss, and the signed distance maps that a data loader computes for it."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Integer
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt
from torch import Tensor

from fewshot.ignored import DEFAULT
from fewshot.losses.inputs import Reduction, prepare
from fewshot.losses.overlap import mean_over_classes
from fewshot.losses.reductions import reduce_images


def boundary_loss(
    logits: Float[Tensor, "batch class *space"],
    target: Integer[Tensor, "batch *space"],
    *,
    distances: Float[Tensor, "batch class *space"],
    ignore_index: int = DEFAULT,
    reduction: Reduction = "mean",
    include_background: bool = True,
) -> Float[Tensor, "*result"]:
    """Return the mean of probability times signed distance to the boundary of the class.

    Below 0 where the probability lies inside the object. It is meant to be added to a region
    loss, with a weight that grows during training.

    Args:
        logits: `[batch class *space]`, any floating dtype; computed in float32 or float64.
        target: `[batch *space]`, labels `0..class-1` or `ignore_index`, for the ignored pixels.
        distances: `[batch class *space]` from `signed_distances`, in the unit of its spacing.
        ignore_index: the label of pixels that do not count. Their predictions are left out as if
            cropped away; the distances of the others are measured across them.
        reduction: "none" gives one value an image, "sum" their sum, "mean" their mean over the
            images that have a known pixel.
        include_background: False leaves class 0 out of the average.

    Returns:
        `[batch]` for "none", else a scalar, in the unit of the distances; 0 for an image whose
        pixels are all ignored.

    Raises:
        TypeError: logits not floating or target not integer.
        ValueError: shapes, labels or settings out of range.

    Example:
        Probability 1/2 everywhere; distances of class 0 are -2, -1, 1 and those of class 1 the
        opposite: the means over pixels are -1/3 and 1/3, in total 0. With probability 1 for what
        is right, both are (-2 - 1 + 0) / 3 and (0 + 0 - 1) / 3, their mean -2/3.

        >>> import torch
        >>> target = torch.tensor([[0, 0, 1]])
        >>> distances = torch.from_numpy(signed_distances(target[0].numpy(), 2))[None]
        >>> boundary_loss(torch.zeros(1, 2, 3), target, distances=distances)
        tensor(0.)
        >>> right = torch.tensor([[[99.0, 99.0, 0.0], [0.0, 0.0, 99.0]]])
        >>> boundary_loss(right, target, distances=distances)
        tensor(-0.6667)

    Paper:
        Kervadec et al. (2021) Boundary Loss for Highly Unbalanced Segmentation. Medical Image
        Analysis 67.
    """
    pixels = prepare(logits, target, ignore_index, reduction)
    if distances.shape != logits.shape:
        raise ValueError(
            f"distances have the shape {list(distances.shape)}, expected that of the logits, "
            f"{list(logits.shape)}; compute them in the loader with signed_distances(labels, "
            f"{logits.shape[1]}) and stack them"
        )
    probabilities = pixels.logits.softmax(1)
    if pixels.known is not None:
        probabilities = probabilities * pixels.known.unsqueeze(1)
    counts = pixels.known_counts()
    sums = (probabilities * distances.detach().flatten(2).to(probabilities.dtype)).sum(-1)
    values = mean_over_classes(sums / counts.clamp_min(1).unsqueeze(1), include_background)
    return reduce_images(values, counts, reduction)


def signed_distances(
    labels: NDArray[np.integer],
    classes: int,
    *,
    spacing: float | Sequence[float] = 1.0,
    ignore_index: int = DEFAULT,
) -> NDArray[np.float32]:
    """Return how far each pixel is from the other side of the boundary of each class.

    Distances are Euclidean, between pixel centres: positive outside the class, negative inside, so
    that class and complement are opposite. Ignored pixels get 0 and are on neither side: they make
    no boundary. A class without pixels is as far away as the diagonal of the image is long, and a
    class that fills the image has its boundary that far away.

    Args:
        labels: `[*space]`, integer, `0..classes-1` or `ignore_index`.
        classes: number of classes, background included.
        spacing: size of a pixel, one number or one an axis, e.g. in mm.
        ignore_index: the label of unknown pixels.

    Returns:
        `[classes *space]` float32, in the unit of `spacing`.

    Raises:
        TypeError: labels not integer.
        ValueError: labels, classes or spacing out of range.

    Example:
        >>> signed_distances(np.array([0, 0, 1, 255]), 2)
        array([[-2., -1.,  1.,  0.],
               [ 2.,  1., -1.,  0.]], dtype=float32)

    Paper:
        Kervadec et al. (2021), equation 5. Their code shifts the inside by one pixel, so that its
        rim is at 0; with a spacing that is not the same along all axes no such shift exists.
    """
    sizes = _checked_spacing(labels, classes, spacing)
    known = labels != ignore_index
    _check_labels(labels[known], classes, ignore_index)
    diagonal = float(np.linalg.norm(np.multiply(labels.shape, sizes)))
    maps = np.zeros((classes, *labels.shape), np.float32)
    for index, out in enumerate(maps):
        inside = labels == index if index != ignore_index else np.zeros_like(known)
        outside = known & ~inside
        out[outside] = _distance_to(inside, outside, sizes, diagonal)
        out[inside] = -_distance_to(outside, inside, sizes, diagonal)
    return maps


def _distance_to(
    there: NDArray[np.bool_], here: NDArray[np.bool_], sizes: list[float], diagonal: float
) -> NDArray[np.float64] | float:
    return distance_transform_edt(~there, sampling=sizes)[here] if there.any() else diagonal


def _checked_spacing(
    labels: NDArray[np.integer], classes: int, spacing: float | Sequence[float]
) -> list[float]:
    if not np.issubdtype(labels.dtype, np.integer):
        raise TypeError(f"labels are {labels.dtype}, an integer dtype was expected; use .astype")
    if classes < 2:
        raise ValueError(f"classes is {classes}, expected at least 2: background counts as one")
    sizes = [float(size) for size in np.broadcast_to(spacing, np.shape(spacing) or labels.ndim)]
    if len(sizes) != labels.ndim or not all(0 < size < float("inf") for size in sizes):
        raise ValueError(
            f"spacing is {spacing}, expected one finite number > 0 or one for each of the "
            f"{labels.ndim} axes of the labels"
        )
    return sizes


def _check_labels(labels: NDArray[np.integer], classes: int, ignore_index: int) -> None:
    if labels.size and (labels.min() < 0 or labels.max() >= classes):
        value = labels.min() if labels.min() < 0 else labels.max()
        raise ValueError(
            f"labels hold the label {value}, but {classes} classes allow 0..{classes - 1} and "
            f"ignore_index={ignore_index}; give unknown pixels the label ignore_index, or raise "
            "classes"
        )
