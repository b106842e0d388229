"""Any sum of this package's losses between logits on a feature grid and labels on the image."""

import difflib
import functools
import inspect
import math
import re

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from episodes.errors import FewshotError
from episodes.io.pixels import IGNORE
from fewshot.losses.boundary import boundary_loss, signed_distances
from fewshot.losses.episode_cross_entropy import at_image_size, segmentation_loss
from fewshot.registry import LOSSES, register_loss

DEFAULT_LOSS = "cross_entropy"
_TERM = re.compile(r"(?:([0-9]*\.?[0-9]+(?:[eE]-?[0-9]+)?)\*)?([A-Za-z_][\w.-]*)")


@register_loss("boundary")
def boundary_loss_of_labels(
    logits: Float[Tensor, "batch class *space"],
    target: UInt8[Tensor, "batch *space"],
    *,
    ignore_index: int = IGNORE,
) -> Float[Tensor, ""]:
    """Return `boundary_loss` with distances, in pixels, that are computed from the labels here."""
    maps = [
        signed_distances(labels.numpy(), logits.shape[1], ignore_index=ignore_index)
        for labels in target.cpu()
    ]
    distances = torch.stack([torch.from_numpy(each) for each in maps]).to(logits.device)
    return boundary_loss(logits, target, distances=distances, ignore_index=ignore_index)


class EpisodeLoss:
    """A weighted sum of losses on the queries of a batch of episodes, each episode counting alike.

    Args:
        text: names of `fewshot.registry.LOSSES` joined by "+", each with a weight before it or
            without, e.g. "dice+cross_entropy" or "0.5*dice+focal".

    Attributes:
        terms: pairs of a weight and a name.

    Raises:
        FewshotError: it is not of that form, or a loss is not known.

    Example:
        Logits of 0 give every label the probability 1/2: cross-entropy log 2 and, with one pixel of
        each label, Dice loss 1/2.

        >>> logits = torch.zeros(1, 1, 2, 1, 1)
        >>> target = torch.tensor([[0, 1]], dtype=torch.uint8)[None, None]
        >>> round(EpisodeLoss("dice+2*cross_entropy")(logits, target).item(), 4)  # 1/2 + 2 log 2
        1.8863
    """

    def __init__(self, text: str = DEFAULT_LOSS) -> None:
        self.text = text
        self.terms = tuple(_read_term(text, part) for part in text.split("+"))

    def __call__(
        self,
        logits: Float[Tensor, "batch query label rows columns"],
        target: UInt8[Tensor, "batch query height width"],
        *,
        balanced: bool = False,
        class_weights: tuple[float, float] | None = None,
    ) -> Float[Tensor, ""]:
        """Return the mean over episodes, so that a batch's loss is the mean of its items' losses.

        The queries of an episode are one batch for a loss: pixel losses take the mean over their
        known pixels, region losses the mean over the queries.

        Args:
            logits: at feature resolution; brought to the target's size bilinearly.
            target: 0 background, 1..label-1, 255 unknown.
            balanced: of the cross-entropy, see `segmentation_loss`.
            class_weights: of the background's pixels and of all classes' pixels, for the losses
                whose formula has them (`takes_class_weights`); the others have none.

        Returns:
            The weighted sum; an episode whose pixels are all unknown costs 0.
        """
        values = [
            segmentation_loss(logits, target, balanced=balanced, class_weights=class_weights)
            if name == DEFAULT_LOSS
            else _mean_over_episodes(name, logits, target, class_weights)
            for _, name in self.terms
        ]
        weights = [weight for weight, _ in self.terms]
        return functools.reduce(torch.add, map(torch.mul, values, weights))

    @property
    def takes_weights(self) -> bool:
        """Whether a term's formula has class weights."""
        return any(takes_class_weights(name) for _, name in self.terms)


def takes_class_weights(name: str) -> bool:
    """Whether a loss's formula has weights of the background's and of the classes' pixels."""
    return "class_weights" in inspect.signature(LOSSES[name]).parameters


def _mean_over_episodes(
    name: str, logits: Tensor, target: Tensor, class_weights: tuple[float, float] | None
) -> Tensor:
    """One episode at a time: some losses would weigh the classes by the whole batch."""
    loss, settings = LOSSES[name], {}
    if class_weights is not None and takes_class_weights(name):
        background, classes = class_weights
        settings["class_weights"] = [background, *[classes] * (logits.shape[2] - 1)]
    full = at_image_size(logits, target).unflatten(0, target.shape[:2])
    values = [
        loss(episode, labels, ignore_index=IGNORE, **settings)
        for episode, labels in zip(full, target, strict=True)
    ]
    return torch.stack(values).mean()


def _read_term(text: str, part: str) -> tuple[float, str]:
    found = _TERM.fullmatch(part.strip())
    if found is None:
        raise FewshotError(
            f"loss is {text!r}; expected names joined by +, each with a weight before it or "
            "without, such as dice+cross_entropy or 0.5*dice+focal"
        )
    weight, name = float(found[1] or 1), found[2]
    if name not in LOSSES:
        near = difflib.get_close_matches(name, LOSSES.names(), n=1, cutoff=0.5)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise FewshotError(
            f"loss is {text!r}, and there is no loss {name!r}; there are "
            f"{', '.join(LOSSES.names())}{hint}"
        )
    if not 0 < weight < math.inf:
        raise FewshotError(f"loss is {text!r}, where {name} has the weight {weight}; expected > 0")
    return weight, name
