"""Let a volume say what its own organ looks like, once registration has said where it is.

A support shows how an organ looks in another subject. Some subjects differ: a spleen full of iron
is dark, where nearly all spleens are bright, and no likeness finds it. Its place does
(`fewshot.inference.volumes.registration`); from the positions that are surely inside or outside,
the query learns its own prototypes, and these find the rest. Where the support's look fits, both
speak.

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
class OwnLookSettings:
    """When the query's own look is asked, and how much it says.

    Attributes:
        outside: belief below which a position is surely background.
        inside: belief above which it surely is of the class.
        placed: share of the carried class from which the class was put at a position.
        fits: probability that a tenth of these positions has to reach, by likeness to the support;
            if nothing there looks like it, its look is not believed at all.
        say: what part of the say the query's own look has where the support's fits.
        place: how much of the belief from which it is learnt is registration's, beside likeness; 0
            where likeness is looked for in place anyway.
        certain: largest log-odds that likeness counts for.
    """

    outside: float = 0.1
    inside: float = 0.7
    placed: float = 0.5
    fits: float = 0.85
    say: float = 0.5
    place: float = 1.0
    certain: float = 4.0


def look_again(
    head: Head,
    features: Float[Tensor, "slice channel rows columns"],
    found: Float[Tensor, "slice rows columns"],
    carried: Float[Tensor, "slice rows columns"],
    settings: OwnLookSettings | None = None,
) -> Float[Tensor, "slice rows columns"]:
    """Improve log-odds of a class by what the query itself looks like.

    Args:
        head: compares the features.
        features: of a volume's slices.
        found: log-odds of the class, by likeness to a support.
        carried: share of the class that registration puts there, 0 to 1.
        settings: by default those of `OwnLookSettings`.

    Returns:
        Log-odds; those found, where nothing is surely of the class.
    """
    settings = settings or OwnLookSettings()
    found = found.clamp(-settings.certain, settings.certain)
    fits = support_fits(found, carried, settings)
    place = carried.clamp(_LEAST_SHARE, 1 - _LEAST_SHARE).logit()
    belief = (found + settings.place * place).sigmoid() if fits else carried
    marks = sure_positions(belief, settings)
    if not (marks == 1).any():
        return found
    own = own_odds(head, features, marks)
    return (1 - settings.say) * found + settings.say * own if fits else own


def support_fits(
    found: Float[Tensor, "slice rows columns"],
    carried: Float[Tensor, "slice rows columns"],
    settings: OwnLookSettings,
) -> bool:
    """Say whether anything looks like the support where registration put the class.

    A tenth is enough: registration may be off, and an organ that looks as usual is then still met.

    >>> odds, put = torch.tensor([[[-3.0, 1.0]]]), torch.tensor([[[0.9, 0.2]]])
    >>> support_fits(odds, put, OwnLookSettings())
    False
    """
    there = found[carried > settings.placed].sigmoid()
    return not len(there) or float(there.quantile(1 - _ENOUGH)) >= settings.fits


def sure_positions(
    belief: Float[Tensor, "slice rows columns"], settings: OwnLookSettings
) -> UInt8[Tensor, "slice rows columns"]:
    """Make a mask of what is sure: 1 class, 0 background, 255 unknown.

    >>> sure_positions(torch.tensor([[[0.9, 0.4, 0.05]]]), OwnLookSettings()).tolist()
    [[[1, 255, 0]]]
    """
    marks = torch.full_like(belief, IGNORE, dtype=torch.uint8)
    marks[belief > settings.inside] = 1
    marks[belief < settings.outside] = 0
    return marks


def own_odds(
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
