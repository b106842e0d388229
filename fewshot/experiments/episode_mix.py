"""Where the training episodes of `fewshot train` come from: labels, regions, or generated tasks."""

from collections.abc import Callable
from typing import get_args

from episodes.augmentation.base import Transform
from episodes.augmentation.compose import MEDICAL, SSL_ALPNET, Augment
from episodes.catalog.catalog import Catalog
from episodes.catalog.loader import Loader
from episodes.errors import DataError
from episodes.sampling.sampler import EpisodeSampler, EpisodeSettings, EpisodeSource
from episodes.sampling.superpixel_sampler import (
    STRONG,
    Mixture,
    SuperpixelSampler,
    SuperpixelSettings,
)
from episodes.sampling.supervoxel_sampler import SupervoxelSampler
from episodes.synthetic import SyntheticSampler, SyntheticSettings
from fewshot.experiments.options import AugmentName, EpisodeMix, Train

FEW_CLASSES = 10
"""With fewer base classes than this, labels teach the classes rather than how to compare."""

_TRANSFORMS: dict[AugmentName, Transform | None] = {
    "none": None,
    "light": Augment(),
    "strong": STRONG,
    "ssl-alpnet": SSL_ALPNET,
    "medical": MEDICAL,
}


def make_source(catalog: Catalog, command: Train, loader: Loader) -> EpisodeSource:
    """Mix the sources by their shares; one alone is given as it is.

    Raises:
        DataError: shares that do not fit, or regions that are not to be changed at all.
    """
    wanted = command.mix
    shares = episode_shares(wanted, len(catalog.classes), catalog.require_masks)
    if wanted.augment not in (None, *get_args(AugmentName)):
        raise DataError(
            f"augment is {wanted.augment!r}; expected {', '.join(get_args(AugmentName))}"
        )
    way, shot, seed = command.way, command.shot, command.train.seed
    made: list[EpisodeSource] = []
    for name, share in shares.items():
        if not share:
            continue
        if name == "synthetic":
            generated = SyntheticSettings(way, shot, size=loader.size)
            made.append(SyntheticSampler(generated, seed))
            continue
        if name == "labels":
            made.append(
                EpisodeSampler(
                    catalog,
                    EpisodeSettings(way, shot),
                    loader=loader,
                    seed=seed,
                    transform=_TRANSFORMS[wanted.augment or "light"],
                )
            )
            continue
        change = _TRANSFORMS[wanted.augment or "strong"]
        if change is None:
            raise DataError(
                "augment is 'none', but regions are found again only after a change; expected "
                "light, strong, ssl-alpnet or medical, or --superpixels 0"
            )
        kind = SuperpixelSampler if name == "superpixels" else SupervoxelSampler
        made.append(
            kind(catalog, SuperpixelSettings(way, shot), loader=loader, seed=seed, transform=change)
        )
    used = [share for share in shares.values() if share]
    return made[0] if len(made) == 1 else Mixture(made, used, seed)


def episode_shares(
    wanted: EpisodeMix, classes: int, require_masks: Callable[[str], None] | None = None
) -> dict[str, float]:
    """Settle the shares of all sources, which sum to 1.

    Args:
        wanted: as the command has them.
        classes: base classes that labels can come from.
        require_masks: raises, given what needs them, where the data set has no masks at all.

    Raises:
        DataError: a share out of range, shares above 1, or labels of no class.
    """
    given = {"supervoxels": wanted.supervoxels, "synthetic": wanted.synthetic}
    rest = 1 - sum(given.values())
    superpixels = wanted.superpixels
    if superpixels is None:
        superpixels = max(0.0, rest) * (1.0 if classes < FEW_CLASSES else 0.5)
    shares = {**given, "superpixels": superpixels}
    for name, share in shares.items():
        if not 0 <= share <= 1:
            raise DataError(f"{name} is {share}; expected a share from 0 to 1")
    labels = 1 - sum(shares.values())
    if labels < -1e-9:
        listed = ", ".join(f"{name} {share:g}" for name, share in shares.items())
        raise DataError(f"the shares of episodes sum to more than 1 ({listed}); lower one")
    shares["labels"] = labels if labels > 1e-9 else 0.0
    if shares["labels"] and not classes:
        if require_masks is not None:
            require_masks(f"a share of {labels:g} of the episodes, left for labels,")
        raise DataError(
            f"a share of {labels:g} of the episodes is left for labels, but no base class is; "
            "raise --superpixels, --supervoxels or --synthetic to a sum of 1"
        )
    return shares
