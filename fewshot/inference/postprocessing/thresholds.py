"""How much of an image a class gets: thresholds other than one half."""

import torch
from jaxtyping import Float
from torch import Tensor

_RANGE = (0.05, 0.95)  # of thresholds that keep an area


def shift_threshold(
    probabilities: Float[Tensor, "label *place"], threshold: float
) -> Float[Tensor, "label *place"]:
    """Multiply the odds of every class by (1 - threshold) / threshold.

    Of one class and background, the class then wins where its probability was above the threshold.

    >>> shift_threshold(torch.tensor([0.6, 0.4]), 0.4)
    tensor([0.5000, 0.5000])
    """
    if threshold == 0.5:
        return probabilities
    weights = torch.full_like(probabilities, 1 - threshold)
    weights[0] = threshold
    return (probabilities * weights) / (probabilities * weights).sum(dim=0, keepdim=True)


def preserve_area(
    probabilities: Float[Tensor, "slice label height width"],
    before: Float[Tensor, "slice label height width"],
) -> Float[Tensor, "slice label height width"]:
    """Give every class as many pixels as it had before, those where it is now most probable.

    Smoothing takes from small structures and gives to large ones, more so the less sure a head is;
    with the area kept, only the border moves. A class of n pixels gets the threshold that n pixels
    exceed, between 0.05 and 0.95. Of several classes each is treated as if it were alone, so that
    areas are kept but for the pixels that two classes want.

    Args:
        probabilities: smoothed probabilities.
        before: the probabilities before.

    Returns:
        Probabilities, shifted as by `shift_threshold`.
    """
    labels = before.argmax(dim=1)
    weights = probabilities.new_ones(probabilities.shape[1])
    for label in range(1, probabilities.shape[1]):
        area = int((labels == label).sum())
        values = probabilities[:, label].flatten()
        if not 0 < area < len(values):
            continue
        last = values.topk(area + 1).values[-2:].mean()  # between the last one in and the first out
        threshold = last.clamp(*_RANGE)
        weights[label] = (1 - threshold) / threshold
    weighted = probabilities * weights[:, None, None]
    return weighted / weighted.sum(dim=1, keepdim=True)
