"""The content of a batch of pairs: its plan, and the loaded tensors."""

from dataclasses import dataclass, replace

import torch
from jaxtyping import Float, Int64, UInt8
from torch import Tensor


@dataclass(frozen=True)
class PairPlan:
    """The images of a batch.

    Attributes:
        index: the batch's number.
        keys: sample keys [item]; all different, but for regions and rotations of one image.
        labels: number of the class of each, an index of `PairSampler.names`.
        subjects: the subject of each.
    """

    index: int
    keys: tuple[str, ...]
    labels: tuple[int, ...]
    subjects: tuple[str, ...]


@dataclass(frozen=True)
class PairBatch:
    """Images with their classes, or the part of them that one process has.

    Attributes:
        images: in [0, 1].
        masks: 1 inside the region of the class, 0 and 255 outside; None for whole images.
        labels: number of the class.
        subjects: number of the subject.
        samples: index of the image in the catalog.
        positions: of the items in the whole batch, from 0.
    """

    images: Float[Tensor, "item channel height width"]
    masks: UInt8[Tensor, "item height width"] | None
    labels: Int64[Tensor, "item"]
    subjects: Int64[Tensor, "item"]
    samples: Int64[Tensor, "item"]
    positions: Int64[Tensor, "item"]

    def to(self, device: torch.device | str) -> "PairBatch":
        """Move the tensors."""
        return replace(
            self,
            images=self.images.to(device),
            masks=None if self.masks is None else self.masks.to(device),
            labels=self.labels.to(device),
            subjects=self.subjects.to(device),
            samples=self.samples.to(device),
            positions=self.positions.to(device),
        )
