"""Training on pairs: what the loop of `fewshot.training.loop` needs to train a Siamese network."""

from functools import partial
from pathlib import Path

import torch
from torch import Tensor, nn

from episodes.errors import FewshotError, ModelError
from episodes.io.write import atomic_write
from episodes.sampling.pair_batch import PairBatch
from episodes.sampling.pairs import PairSampler
from fewshot.models.checkpoint import write_tensors
from fewshot.models.embedding_network import EmbeddingNetwork, save_embedding
from fewshot.siamese.cross_batch_memory import CrossBatchMemory
from fewshot.siamese.distributed import Embedded, gather_batch
from fewshot.siamese.effective_rank import effective_rank
from fewshot.siamese.hard_negatives import HardNegatives
from fewshot.siamese.losses.base import PairLoss
from fewshot.training.episodic import Task

LOSS = "loss.safetensors"


class PairObjective(nn.Module):
    """Embeds the batch of all processes and compares it with itself and its references.

    Args:
        network: `network(images, masks)` gives embeddings.
        loss: of the embeddings.
        size: images a batch; pairs are formed in the whole of it.
        memory: earlier batches, compared with like the batch itself.
        negatives: the nearest negatives of the data set.

    Raises:
        ValueError: the loss takes no references, and there are some.
    """

    def __init__(
        self,
        network: nn.Module,
        loss: PairLoss,
        size: int,
        memory: CrossBatchMemory | None = None,
        negatives: HardNegatives | None = None,
    ) -> None:
        super().__init__()
        if not loss.takes_references and (memory or negatives):
            raise ValueError(
                f"{type(loss).__name__} compares with class centres; expected neither a "
                "memory nor hard negatives, so leave them out"
            )
        self.network, self.loss, self.size = network, loss, size
        self.memory, self.negatives = memory, negatives

    def forward(self, batch: PairBatch) -> dict[str, Tensor]:
        """Return the "loss", its further values, and the "effective_rank".

        Raises:
            FewshotError: the processes' parts are not one whole batch.
        """
        embeddings = self.network(batch.images, batch.masks)
        local = Embedded(embeddings, batch.labels, batch.subjects, batch.samples)
        whole = gather_batch(local, batch.positions)
        if len(whole.labels) != self.size:
            raise FewshotError(
                f"{len(whole.labels)} images were gathered, a batch of pairs has {self.size}; "
                f"set TrainSettings.batch to {self.size} and accumulate to 1, as pairs are formed "
                "within a batch"
            )
        values = self._compare(whole)
        if self.training and self.memory is not None:
            self.memory.push(whole)
        return {**values, "effective_rank": effective_rank(whole.embeddings)}

    def _compare(self, whole: Embedded) -> dict[str, Tensor]:
        if self.memory is None and self.negatives is None:
            return self.loss(whole.embeddings, whole.labels)
        parts, ignored_pairs = [whole], [_same_item(whole, whole)]
        if self.memory is not None:
            parts.append(self.memory.contents())
            ignored_pairs.append(_same_item(whole, parts[-1]))
        if self.negatives is not None:
            negatives, not_allowed = self.negatives.find(whole)
            parts.append(negatives)
            ignored_pairs.append(not_allowed)
        return self.loss(
            whole.embeddings,
            whole.labels,
            torch.cat([part.embeddings for part in parts]),
            torch.cat([part.labels for part in parts]),
            torch.cat(ignored_pairs, dim=1),
        )


def _same_item(anchors: Embedded, references: Embedded) -> Tensor:
    """Mask of the references that are the anchor itself, now or in an earlier batch."""
    same = anchors.samples[:, None] == references.samples
    return same & (anchors.labels[:, None] == references.labels)


def pair_task(
    network: EmbeddingNetwork,
    sampler: PairSampler,
    loss: PairLoss,
    *,
    memory: CrossBatchMemory | None = None,
    negatives: HardNegatives | None = None,
) -> Task:
    """Train an embedding network on pairs.

    `TrainSettings.batch` has to be the sampler's size, and `accumulate` 1. The state that a run
    resumes from includes the memory and the hard negatives.

    Args:
        network: trained in place; saved by `save_embedding`, and beside it the weights of the
            loss in `loss.safetensors`.
        sampler: of the training catalog, loading at the network's size.
        loss: its own weights, such as class centres, are trained as well.
        memory: earlier batches as further references.
        negatives: the data set's nearest negatives; needs the callback `RefreshNegatives`.

    Raises:
        ModelError: the sampler loads at another size than the network's.
        ValueError: the loss takes no references, and there are some.
    """
    if sampler.loader.size != network.settings.size:
        raise ModelError(
            f"images are loaded at {sampler.loader.size} pixels and the network's size is "
            f"{network.settings.size}; give the sampler loader=Loader({network.settings.size})"
        )
    objective = PairObjective(network, loss, sampler.size, memory, negatives).to(network.device)
    return Task(objective, sampler.load, partial(_save, network, loss))


def _save(network: EmbeddingNetwork, loss: PairLoss, folder: Path) -> None:
    save_embedding(network, folder)
    if any(True for _ in loss.parameters()):
        tensors = {name: t.detach().cpu().contiguous() for name, t in loss.state_dict().items()}
        with atomic_write(folder / LOSS) as partial_file:
            write_tensors(tensors, partial_file, {"kind": type(loss).__name__})
