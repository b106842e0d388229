"""Prototypes of the query itself, labelled by registration and by similarity to the support.

A support shows an organ as it appears in another subject. Some subjects differ: a spleen full of
iron is dark, where nearly all spleens are bright, and its features are not similar to any support.
Registration locates it all the same (`fewshot.inference.volumes.registration`). Positions with a
high or a low probability become prototypes of the query's own, and label the rest. Where the
support's features are similar as well, both logits are averaged.

Paper: learning from the query's own confident positions is Fan et al., Self-support few-shot
semantic segmentation, ECCV 2022; that registration chooses them is ours.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from episodes.io.pixels import IGNORE
from fewshot.models.heads.base import Head

_FINE = 8  # pixels a position
_ENOUGH = 0.1  # of the places of a class
_LEAST_SHARE = 0.02  # place is never certain


@dataclass(frozen=True)
class SelfSupportSettings:
    """When the query's own prototypes are used, and with which weight.

    Attributes:
        background_threshold: probability below which a position is a prototype of background.
        foreground_threshold: probability above which it is a prototype of the class.
        atlas_threshold: coverage of the warped mask from which a position lies in the atlas.
        min_support_confidence: probability, by similarity to the support, that the most similar
            tenth of the positions in the atlas has to reach; below it the support's logits are not
            used, and the atlas alone labels the query's prototypes.
        self_support_weight: of the logits by the query's own prototypes, 0 to 1; the rest is that
            of the logits by the support.
        atlas_weight: of the atlas' log-odds beside the support's in the probabilities from which
            prototypes are labelled; 0 where the logits were made near the atlas anyway.
        max_logit: absolute value at which the support's log-odds are clamped.
    """

    background_threshold: float = 0.1
    foreground_threshold: float = 0.7
    atlas_threshold: float = 0.5
    min_support_confidence: float = 0.85
    self_support_weight: float = 0.5
    atlas_weight: float = 1.0
    max_logit: float = 4.0


def refine_with_self_support(
    head: Head,
    features: Float[Tensor, "slice channel rows columns"],
    found: Float[Tensor, "slice rows columns"],
    warped: Float[Tensor, "slice rows columns"],
    settings: SelfSupportSettings | None = None,
) -> Float[Tensor, "slice rows columns"]:
    """Improve log-odds of a class by what the query itself looks like.

    Args:
        head: compares the features.
        features: of a volume's slices.
        found: log-odds of the class, by likeness to a support.
        warped: share of the class that registration puts there, 0 to 1.
        settings: by default those of `SelfSupportSettings`.

    Returns:
        Log-odds; those found, where nothing is surely of the class.
    """
    settings = settings or SelfSupportSettings()
    found = found.clamp(-settings.max_logit, settings.max_logit)
    fits = support_is_consistent(found, warped, settings)
    place = warped.clamp(_LEAST_SHARE, 1 - _LEAST_SHARE).logit()
    belief = (found + settings.atlas_weight * place).sigmoid() if fits else warped
    marks = confident_labels(belief, settings)
    if not (marks == 1).any():
        return found
    own = self_support_logits(head, features, marks)
    return (
        (1 - settings.self_support_weight) * found + settings.self_support_weight * own
        if fits
        else own
    )


def support_is_consistent(
    found: Float[Tensor, "slice rows columns"],
    warped: Float[Tensor, "slice rows columns"],
    settings: SelfSupportSettings,
) -> bool:
    """Say whether anything looks like the support where registration put the class.

    A tenth is enough: registration may be off, and an organ that looks as usual is then still met.

    >>> odds, put = torch.tensor([[[-3.0, 1.0]]]), torch.tensor([[[0.9, 0.2]]])
    >>> support_is_consistent(odds, put, SelfSupportSettings())
    False
    """
    there = found[warped > settings.atlas_threshold].sigmoid()
    return not len(there) or float(there.quantile(1 - _ENOUGH)) >= settings.min_support_confidence


def confident_labels(
    belief: Float[Tensor, "slice rows columns"], settings: SelfSupportSettings
) -> UInt8[Tensor, "slice rows columns"]:
    """Make a mask of what is sure: 1 class, 0 background, 255 unknown.

    >>> confident_labels(torch.tensor([[[0.9, 0.4, 0.05]]]), SelfSupportSettings()).tolist()
    [[[1, 255, 0]]]
    """
    marks = torch.full_like(belief, IGNORE, dtype=torch.uint8)
    marks[belief > settings.foreground_threshold] = 1
    marks[belief < settings.background_threshold] = 0
    return marks


def self_support_logits(
    head: Head,
    features: Float[Tensor, "slice channel rows columns"],
    marks: UInt8[Tensor, "slice rows columns"],
) -> Float[Tensor, "slice rows columns"]:
    """Segment slices with themselves as partly annotated support: log-odds of the class.

    Heads expect masks finer than features, and positions at the rim of a mask to stand for less.
    """
    fine = marks.repeat_interleave(_FINE, dim=1).repeat_interleave(_FINE, dim=2)
    support = head.encode_support(features[None, None], fine[None, None])
    logits = [head.logits(support, one[None, None])[0, 0] for one in features]
    return torch.stack([inside - outside for outside, inside in logits])
