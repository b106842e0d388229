"""What postprocess steps share: other labels with probabilities that agree with them."""

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from fewshot.lazily import lazily

if TYPE_CHECKING:
    from fewshot.inference.result import Segmentation

torch = lazily("torch")
components = lazily("fewshot.inference.postprocessing.connected_components")  # imports torch


def with_labels(result: "Segmentation", labels: np.ndarray) -> "Segmentation":
    """Give pixels other labels, whose probabilities are exchanged with those of the old ones."""
    if np.array_equal(labels, result.labels):
        return result
    swapped = components.swap_label_probabilities(
        *map(torch.from_numpy, (result.probabilities, result.labels, labels))
    )
    return replace(result, labels=labels, probabilities=swapped.numpy())
