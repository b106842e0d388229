"""The losses that `fewshot match train` knows by name, with their usual margins and scales."""

from episodes.errors import DataError
from fewshot.experiments.pair_options import PairOptions
from fewshot.siamese.losses.arcface import ArcFaceLoss
from fewshot.siamese.losses.base import PairLoss
from fewshot.siamese.losses.circle import CircleLoss
from fewshot.siamese.losses.contrastive import ContrastiveLoss
from fewshot.siamese.losses.multi_similarity import MultiSimilarityLoss
from fewshot.siamese.losses.proxy_anchor import ProxyAnchorLoss
from fewshot.siamese.losses.supervised_contrastive import SupervisedContrastiveLoss
from fewshot.siamese.losses.triplet import AdaptiveMargin, TripletLoss

_MARGINS = {"triplet": 0.2, "contrastive": 1.0, "circle": 0.4, "arcface": 0.5, "proxy-anchor": 0.1}
_SCALES = {
    **{"circle": 80.0, "arcface": 64.0, "proxy-anchor": 32.0},
    **{"supervised-contrastive": 10.0, "nt-xent": 10.0},
}


def make_loss(options: PairOptions, classes: int, dim: int, seed: int) -> PairLoss:
    """Make the loss that the options name.

    Args:
        options: loss, margin, scale and mining.
        classes: how many are trained on.
        dim: length of the embeddings.
        seed: of learned class centres.

    Raises:
        DataError: the loss has no such option.
    """
    name = options.loss
    for option, known in (("margin", _MARGINS), ("scale", _SCALES)):
        if getattr(options, option) is not None and name not in known:
            raise DataError(
                f"{option} is {getattr(options, option)}, but {name} has none; leave it out, or "
                f"take one of {', '.join(known)}"
            )
    if options.mining != "batch-hard" and name != "triplet":
        raise DataError(f"mining is {options.mining}, but {name} looks at all pairs; leave it out")
    scale = _SCALES.get(name, 1.0) if options.scale is None else options.scale
    if name == "triplet":
        return _triplet(options)
    if isinstance(options.margin, str):
        raise DataError(f"margin is {options.margin!r}; {name} takes a number")
    margin = _MARGINS.get(name, 0.0) if options.margin is None else options.margin
    if name == "contrastive":
        return ContrastiveLoss(margin)
    if name == "multi-similarity":
        return MultiSimilarityLoss()
    if name == "circle":
        return CircleLoss(margin, scale)
    if name == "arcface":
        return ArcFaceLoss(classes, dim, margin, scale, seed)
    if name == "proxy-anchor":
        return ProxyAnchorLoss(classes, dim, scale, margin, seed)
    return SupervisedContrastiveLoss(1 / scale, "negatives" if name == "nt-xent" else "all")


def _triplet(options: PairOptions) -> TripletLoss:
    if options.margin == "soft":
        return TripletLoss(options.mining, "soft")
    if options.margin == "adaptive":
        return TripletLoss(options.mining, AdaptiveMargin())
    return TripletLoss(
        options.mining, _MARGINS["triplet"] if options.margin is None else options.margin
    )
