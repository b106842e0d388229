"""An episode: a support set with masks, and queries with the labels to be predicted."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from episodes.errors import EpisodeError
from episodes.io.pixels import IGNORE


@dataclass(frozen=True)
class Plan:
    """Which samples an episode is made of: small, comparable, and enough to replay it.

    Attributes:
        index: the episode's number.
        classes: the class of each way.
        support: sample keys [way][shot].
        query: sample keys [query].
        query_subjects: the subject of each query, the unit of statistics.
    """

    index: int
    classes: tuple[str, ...]
    support: tuple[tuple[str, ...], ...]
    query: tuple[str, ...]
    query_subjects: tuple[str, ...]

    @property
    def query_ways(self) -> tuple[int, ...]:
        """The way, from 0, that each query was drawn for: its class in classification."""
        return tuple(number % len(self.classes) for number in range(len(self.query)))


@dataclass(frozen=True)
class Episode:
    """One few-shot task.

    Attributes:
        support_images: in [0, 1].
        support_masks: one binary mask a way and shot: 0, 1, 255 unknown. Pixels of the episode's
            other ways are 255: they are neither this class nor its background.
        query_images: in [0, 1].
        query_labels: 0 background, 1..way, 255 unknown.
        plan: the class names and where every item came from.
    """

    support_images: Float[Tensor, "way shot channel height width"]
    support_masks: UInt8[Tensor, "way shot height width"]
    query_images: Float[Tensor, "query channel height width"]
    query_labels: UInt8[Tensor, "query height width"]
    plan: Plan

    @property
    def class_names(self) -> tuple[str, ...]:
        """The class of each way."""
        return self.plan.classes

    def check(self) -> "Episode":
        """Return the episode, or raise.

        Raises:
            EpisodeError: the shapes do not fit together, or a mask holds another value.
        """
        way, shot, channel, height, width = self.support_images.shape
        expected = {
            "support_masks": (way, shot, height, width),
            "query_images": (len(self.plan.query), channel, height, width),
            "query_labels": (len(self.plan.query), height, width),
        }
        for name, shape in expected.items():
            if tuple(getattr(self, name).shape) != shape:
                raise EpisodeError(
                    f"{name} has shape {tuple(getattr(self, name).shape)}; expected {shape} "
                    f"for support images of {tuple(self.support_images.shape)}"
                )
        for name, highest in (("support_masks", 1), ("query_labels", way)):
            values = getattr(self, name)
            wrong = values[(values > highest) & (values != IGNORE)]
            if wrong.numel():
                raise EpisodeError(
                    f"{name} holds {int(wrong[0])}; expected 0 to {highest}, or {IGNORE} unknown"
                )
        return self


@dataclass(frozen=True)
class EpisodeBatch:
    """Episodes of one shape, stacked along a leading batch axis; see `Episode`."""

    support_images: Float[Tensor, "batch way shot channel height width"]
    support_masks: UInt8[Tensor, "batch way shot height width"]
    query_images: Float[Tensor, "batch query channel height width"]
    query_labels: UInt8[Tensor, "batch query height width"]
    plans: tuple[Plan, ...]

    def to(self, device: torch.device | str) -> "EpisodeBatch":
        """Move the tensors."""
        return replace(
            self,
            support_images=self.support_images.to(device),
            support_masks=self.support_masks.to(device),
            query_images=self.query_images.to(device),
            query_labels=self.query_labels.to(device),
        )


def collate(episodes: Sequence[Episode]) -> EpisodeBatch:
    """Stack episodes; grey ones become colour where another one is.

    Raises:
        EpisodeError: none given, or ways, shots, queries or sizes differ.
    """
    if not episodes:
        raise EpisodeError("no episode to stack; expected at least one")
    shapes = {(*e.support_masks.shape, *e.query_labels.shape) for e in episodes}
    if len(shapes) > 1:
        raise EpisodeError(f"episodes differ in (way, shot, size, query, size): {sorted(shapes)}")
    channel = max(e.support_images.shape[-3] for e in episodes)
    return EpisodeBatch(
        _stack([to_channels(e.support_images, channel) for e in episodes]),
        _stack([e.support_masks for e in episodes]),
        _stack([to_channels(e.query_images, channel) for e in episodes]),
        _stack([e.query_labels for e in episodes]),
        tuple(e.plan for e in episodes),
    )


def _stack(tensors: list[Tensor]) -> Tensor:
    return tensors[0][None] if len(tensors) == 1 else torch.stack(tensors)  # one needs no copy


def copy_images(
    images: Sequence[Float[Tensor, "_ height width"]], shape: Sequence[int], channel: int
) -> Float[Tensor, "*shape channel height width"]:
    """Copy images of any float type, each once, to their places; grey ones become colour."""
    return _copy(images, shape, (channel, *images[0].shape[-2:]), torch.float32)


def copy_masks(
    masks: Sequence[UInt8[Tensor, "height width"]], shape: Sequence[int]
) -> UInt8[Tensor, "*shape height width"]:
    """Copy masks, each once, to their places."""
    return _copy(masks, shape, masks[0].shape, torch.uint8)


def _copy(
    parts: Sequence[Tensor], shape: Sequence[int], item: Sequence[int], dtype: torch.dtype
) -> Tensor:
    whole = torch.empty(*shape, *item, dtype=dtype)
    if len(parts) == 1:  # needs no views, which take as long as the copy
        return whole.copy_(parts[0])
    for place, part in zip(whole.view(-1, *item).unbind(), parts, strict=True):
        place.copy_(part)
    return whole


def to_channels(images: Tensor, channel: int) -> Tensor:
    """Repeat the channel of grey images [... channel height width] to make them colour."""
    if images.shape[-3] == channel:
        return images
    return images.expand(*images.shape[:-3], channel, *images.shape[-2:])
