"""The nearest negatives of the whole data set, found anew every so many steps of training."""

from collections.abc import Iterator, Mapping
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Bool
from torch import Tensor, nn

from episodes.sampling.pairs import PairSampler
from fewshot.siamese.distances import euclidean_distances
from fewshot.siamese.distributed import Embedded
from fewshot.siamese.pair_masks import UNKNOWN
from fewshot.training.run import Callback, Run


@runtime_checkable
class Embedder(Protocol):
    """Embeds images, or regions of them, e.g. an `EmbeddingNetwork`."""

    def embed(self, images: Tensor, masks: Tensor | None = None) -> Tensor:
        """Return embeddings [batch dim] without a gradient."""
        ...


class HardNegatives(nn.Module):
    """Keeps an embedding of every image and gives each anchor its nearest negatives.

    They are references without a gradient: which images are loaded stays a pure function of the
    batch's number, so worker processes and resumed runs see the same. All of it is in buffers.

    Near neighbours of another label are the likeliest wrong labels, so a candidate is no negative
    where its class or the anchor's is unknown, where it is of the anchor's subject, or where it is
    too near to be another thing.

    Args:
        images: number of embeddings; the length of `PairSampler.all_items`.
        dim: length of the embeddings.
        per_anchor: number of negatives of each anchor.
        min_distance: candidates nearer than this are treated as duplicates of the anchor;
            unrelated embeddings of unit length have a distance of 1.4.
        other_subjects: whether candidates of the anchor's subject are excluded. False where
            a subject is no person, e.g. one drawer of many characters.
    """

    embeddings: Tensor
    numbers: Tensor
    ready: Tensor

    def __init__(
        self,
        images: int,
        dim: int,
        per_anchor: int = 4,
        min_distance: float = 0.1,
        other_subjects: bool = True,
    ) -> None:
        super().__init__()
        if images < 1 or per_anchor < 1 or min_distance < 0:
            raise ValueError(
                f"images is {images}, per_anchor {per_anchor} and min_distance "
                f"{min_distance}; expected at least 1, 1, 0"
            )
        self.per_anchor, self.min_distance, self.other_subjects = (
            per_anchor,
            min_distance,
            other_subjects,
        )
        self.register_buffer("embeddings", torch.zeros(images, dim))
        self.register_buffer("numbers", torch.full((images, 3), UNKNOWN))
        self.register_buffer("ready", torch.zeros((), dtype=torch.bool))

    @torch.no_grad()
    def refresh(self, parts: Iterator[Embedded]) -> None:
        """Replace all embeddings; `parts` come in order and together are all images."""
        start = 0
        for part in parts:
            end = start + len(part.labels)
            self.embeddings[start:end] = part.embeddings
            self.numbers[start:end] = torch.stack([part.labels, part.subjects, part.samples], 1)
            start = end
        if start != len(self.embeddings):
            raise ValueError(f"{start} embeddings were given; expected {len(self.embeddings)}")
        self.ready.fill_(True)

    @torch.no_grad()
    def find(self, anchors: Embedded) -> tuple[Embedded, Bool[Tensor, "anchor reference"]]:
        """Find the nearest allowed negatives of all anchors.

        Returns:
            The negatives, each once, and a mask of the pairs to ignore: those that are not allowed.
        """
        labels, subjects, samples = self.numbers.unbind(dim=1)
        distances = euclidean_distances(anchors.embeddings, self.embeddings)
        allowed = (anchors.labels[:, None] != labels) & (labels != UNKNOWN)
        allowed &= (anchors.labels != UNKNOWN)[:, None] & (distances >= self.min_distance)
        if self.other_subjects:
            allowed &= anchors.subjects[:, None] != subjects
        if not self.ready:
            allowed.zero_()
        count = min(self.per_anchor, len(labels))
        nearest = distances.masked_fill(~allowed, torch.inf).topk(count, dim=1, largest=False)
        hard = nearest.indices[nearest.values < torch.inf].unique()
        negatives = Embedded(self.embeddings[hard], labels[hard], subjects[hard], samples[hard])
        return negatives, ~allowed[:, hard]


class RefreshNegatives(Callback):
    """Embeds the whole catalog at the start of a run, and again every `every` steps.

    With several processes the first one does it, and its buffers reach the others with the next
    step. A resumed run continues with its earlier embeddings.

    Args:
        negatives: refreshed with the embeddings.
        network: computes the embeddings.
        sampler: lists and loads the images.
        every: steps.
        chunk: images embedded at once.
    """

    def __init__(
        self,
        negatives: HardNegatives,
        network: Embedder,
        sampler: PairSampler,
        every: int,
        chunk: int = 64,
    ) -> None:
        if every < 1 or chunk < 1:
            raise ValueError(f"every is {every} and chunk {chunk}; expected at least 1")
        self.negatives, self.network, self.sampler = negatives, network, sampler
        self.every, self.chunk = every, chunk

    def on_start(self, run: Run) -> None:
        """Fill the embeddings, unless a resumed run has them."""
        if not self.negatives.ready:
            self.negatives.refresh(self._parts())

    def on_step_end(self, run: Run, values: Mapping[str, float]) -> None:
        """Embed all images anew if it is time."""
        if run.step % self.every == 0:
            self.negatives.refresh(self._parts())

    def _parts(self) -> Iterator[Embedded]:
        listed = self.sampler.all_items()
        device = self.negatives.embeddings.device
        for start in range(0, len(listed), self.chunk):
            batch = self.sampler.load_untransformed(listed[start : start + self.chunk]).to(device)
            embeddings = self.network.embed(batch.images, batch.masks)
            yield Embedded(embeddings, batch.labels, batch.subjects, batch.samples)
