"""The loss of `fewshot match train`, made from its options."""

from episodes.errors import DataError
from fewshot.experiments.pair_options import PairOptions
from fewshot.registry import PAIR_LOSSES
from fewshot.siamese.losses.base import PairLoss, PairLossEntry, PairLossOptions


def make_loss(options: PairOptions, classes: int, dim: int, seed: int) -> PairLoss:
    """Make the loss that the options name.

    Args:
        options: loss, margin, scale and mining.
        classes: how many are trained on.
        dim: length of the embeddings.
        seed: of learned class centres.

    Raises:
        UnknownPartError: there is no such loss.
        DataError: the loss has no such option.
    """
    name, margin, scale = options.loss, options.margin, options.scale
    entry: PairLossEntry = PAIR_LOSSES[name]
    for option, given in (("margin", margin), ("scale", scale)):
        if given is not None and getattr(entry, option) is None:
            known = (n for n, e in PAIR_LOSSES.parts().items() if getattr(e, option) is not None)
            raise DataError(
                f"{option} is {given}, but {name} has none; leave it out, or take one of "
                f"{', '.join(known)}"
            )
    if options.mining != "batch-hard" and not entry.mines:
        raise DataError(f"mining is {options.mining}, but {name} looks at all pairs; leave it out")
    if isinstance(margin, str) and margin not in entry.margins:
        raise DataError(f"margin is {margin!r}; {name} takes a number")
    return entry.build(
        PairLossOptions(
            margin=(entry.margin or 0.0) if margin is None else margin,
            scale=(entry.scale or 1.0) if scale is None else scale,
            mining=options.mining,
            classes=classes,
            dim=dim,
            seed=seed,
        )
    )
