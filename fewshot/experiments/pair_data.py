"""What is kept from training on pairs: whole classes, or whole subjects."""

import math
from typing import Literal

import numpy as np

from episodes.augmentation.base import Transform
from episodes.augmentation.compose import MEDICAL, Augment
from episodes.catalog.catalog import Catalog
from episodes.catalog.splits import Split
from episodes.errors import DataError, shorten
from episodes.sampling.superpixel_sampler import STRONG
from fewshot.experiments.pair_options import PairAugmentName, PairMonitor
from fewshot.experiments.settings import HoldOut

Identity = Literal["class", "subject"]

TRANSFORMS: dict[PairAugmentName, Transform | None] = {
    "none": None,
    "light": Augment(),
    "strong": STRONG,
    "medical": MEDICAL,
}


def masks_for(identity: Identity, regions: bool = False) -> str | None:
    """What needs masks, for `open_catalog`; None where pictures without masks do."""
    if regions:
        return "--regions"
    return "--identity class" if identity == "class" else None


def make_name_split(catalog: Catalog, hold_out: HoldOut, identity: Identity) -> Split:
    """Hold out the classes or subjects that are named, or a share of them; a share of 0 none.

    Raises:
        DataError: a name is unknown, or too few are left to train on.
    """
    chosen = hold_out.novel if identity == "class" else hold_out.test_subjects
    other = hold_out.test_subjects if identity == "class" else hold_out.novel
    if other or hold_out.training_exclusion != "keep":
        option = "--test-subjects" if identity == "class" else "--novel"
        raise DataError(
            f"{option} {shorten(other) or '-'} and --training-exclusion "
            f"{hold_out.training_exclusion}: with --identity {identity} whole "
            f"{_plural(identity)} are held out; name them with "
            f"{'--novel' if identity == 'class' else '--test-subjects'}"
        )
    train, test = _apart(
        catalog, identity, chosen, hold_out.test_share, hold_out.split_seed, "test-share"
    )
    return Split(train, test)


def name_validation_split(
    catalog: Catalog, monitor: PairMonitor, identity: Identity, seed: int
) -> tuple[Catalog, Catalog | None]:
    """Split the training catalog once more, to validate on names that are not trained on.

    Raises:
        DataError: an option has no effect without validation, or too few are left.
    """
    if monitor.validate is None:
        if monitor.patience is not None or monitor.validation_names:
            raise DataError(
                "--patience or --validation-names is given, but nothing is scored during training; "
                "add --validate STEPS"
            )
        return catalog, None
    share = monitor.validation_share
    if not share and not monitor.validation_names:
        raise DataError(f"validation-share is {share}; expected a share between 0 and 1")
    return _apart(catalog, identity, monitor.validation_names, share, seed, "validation-share")


def names_of(catalog: Catalog, identity: Identity) -> tuple[str, ...]:
    """The classes or the subjects of a catalog."""
    return catalog.classes if identity == "class" else catalog.subjects


def of_names(catalog: Catalog, names: tuple[str, ...], identity: Identity) -> Catalog:
    """Keep the images of some classes or subjects."""
    if identity == "subject":
        return catalog.filter(lambda sample: sample.subject in set(names))
    return catalog.showing(names).of_classes(names)


def _apart(
    catalog: Catalog,
    identity: Identity,
    chosen: tuple[str, ...],
    share: float,
    seed: int,
    option: str,
) -> tuple[Catalog, Catalog]:
    """Take out names, or all that have a name before their first /; or draw a share of them."""
    names = names_of(catalog, identity)
    if chosen:
        known = {*names, *(name.partition("/")[0] for name in names)}
        missing = [name for name in chosen if name not in known]
        if missing:
            raise DataError(f"there is no {identity} {missing[0]!r}; there are {shorten(names)}")
        out = {name for name in names if {name, name.partition("/")[0]} & set(chosen)}
    else:
        if not 0 <= share < 1:
            raise DataError(f"{option} is {share}; expected a share from 0 to below 1")
        count = math.ceil(share * len(names))
        generator = np.random.Generator(np.random.Philox(key=[seed, 0x5C]))
        out = set(generator.permutation(np.array(names))[:count].tolist())
    rest = tuple(name for name in names if name not in out)
    if len(rest) < 2:
        raise DataError(
            f"{len(rest)} {_plural(identity)} are left to train on; expected at least 2. Hold out "
            "fewer"
        )
    taken = tuple(name for name in names if name in out)
    return of_names(catalog, rest, identity), of_names(catalog, taken, identity)


def _plural(identity: Identity) -> str:
    return "classes" if identity == "class" else "subjects"
