"""A memory of the last batches' embeddings: many more pairs at no further encoding."""

import torch
from torch import Tensor, nn

from fewshot.siamese.distributed import Embedded
from fewshot.siamese.pair_masks import UNKNOWN


class CrossBatchMemory(nn.Module):
    """Keeps the newest embeddings, without gradients, as further references.

    All of it is in buffers with exact integer labels, so a resumed run has the same memory.

    Args:
        size: embeddings kept.
        dim: their length.
        patience: steps before the memory is used; early embeddings change too fast.

    Paper: Wang et al., Cross-batch memory for embedding learning, CVPR 2020.
    """

    embeddings: Tensor
    numbers: Tensor
    pushed: Tensor
    steps: Tensor

    def __init__(self, size: int, dim: int, patience: int = 0) -> None:
        super().__init__()
        if size < 1 or patience < 0:
            raise ValueError(
                f"size is {size} and patience {patience}; expected at least 1 and at least 0"
            )
        self.size, self.patience = size, patience
        self.register_buffer("embeddings", torch.zeros(size, dim))
        # label, subject and sample of each
        self.register_buffer("numbers", torch.full((size, 3), UNKNOWN))
        self.register_buffer("pushed", torch.zeros((), dtype=torch.int64))
        self.register_buffer("steps", torch.zeros((), dtype=torch.int64))

    def contents(self) -> Embedded:
        """Return what is kept, nothing as long as the patience lasts."""
        there = min(int(self.pushed), self.size) if self.steps >= self.patience else 0
        labels, subjects, samples = self.numbers[:there].clone().unbind(dim=1)
        return Embedded(self.embeddings[:there].clone(), labels, subjects, samples)

    @torch.no_grad()
    def push(self, batch: Embedded) -> None:
        """Take in a batch; the oldest embeddings make room."""
        kept = min(len(batch.labels), self.size)
        total = int(self.pushed) + len(batch.labels)
        places = torch.arange(total - kept, total, device=self.pushed.device) % self.size
        numbers = torch.stack([batch.labels, batch.subjects, batch.samples], dim=1)
        self.embeddings[places] = batch.embeddings[-kept:].to(self.embeddings.dtype)
        self.numbers[places] = numbers[-kept:]
        self.pushed += len(batch.labels)
        self.steps += 1
