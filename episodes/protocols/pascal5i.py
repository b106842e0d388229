"""PASCAL-5i and COCO-20i: novel classes of four folds, as PANet, HSNet and PFENet test them.

Papers: Shaban et al., One-Shot Learning for Semantic Segmentation, BMVC 2017 (the folds); Wang et
al., PANet, ICCV 2019; Tian et al., PFENet, TPAMI 2020; Min et al., HSNet, ICCV 2021; Nguyen and
Todorovic, Feature Weighting and Boosting, ICCV 2019 (COCO-20i).

Rules. Classes in the order of their numbers are dealt into 4 folds: in a row on PASCAL (fold 0 is
classes 1 to 5), interleaved on COCO (fold k is every fourth class from k: person, airplane, boat ..
for 0). One way. Intersections and unions are summed per class over all episodes of a run; mIoU is
the mean over classes, FB-IoU the mean of foreground and background; unknown pixels (255) count
nowhere.

- "panet": 5 runs of 1000 episodes, seeds s to s + 4; a class, then query and shots without
  repetition, drawn uniformly; 417 x 417; the mean over runs. PANet deals COCO into rows of 20.
- "hsnet": 1000 episodes; queries are the pairs (image, class) in order, again from the start when
  they end; shots are drawn uniformly among the other images of the class; 400 x 400. On COCO the
  class and the query are drawn instead (`walk=False`).
- "pfenet": 5000 episodes (20000 on COCO); queries are the images that show a novel class with at
  least 2048 pixels, in order, again from the start; the class is drawn among all novel ones in the
  image, shots without repetition among the images that show 2048 pixels of it; original size.

Training sees base classes only. PASCAL's training images that show novel classes stay, the class
being background (`novel_images="keep"`, PFENet and most others), or are dropped ("drop", BAM,
Lang et al., CVPR 2022, worth 2 to 3 mIoU).

Deviations. Draws come from this package's generator, so the lists are not theirs number by number.
Shots are never repeated within an episode; HSNet's can be. An image that shows several novel
classes is one query a class in "hsnet"; their own list files decide which. PFENet's loop runs one
episode more than its settings say. A class without an episode has no IoU; HSNet counts it as 0.
Predictions are made at the image's size and brought to the square, nearest pixel; theirs are made
on the square, which for PFENet is 473 x 473 before its result is enlarged to the original.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Literal

import numpy as np

from episodes.catalog.catalog import Catalog, Sample
from episodes.errors import DataError, EpisodeError, shorten
from episodes.protocols.base import (
    Case,
    Protocol,
    fold_bounds,
    named_samples,
    shows,
    training_catalog,
)
from episodes.protocols.registry import ImageProtocolOptions, register_image_protocol
from episodes.sampling.episode import Plan
from episodes.sampling.sampler import episode_generator

Flavour = Literal["panet", "hsnet", "pfenet"]
Layout = Literal["rows", "interleaved"]

_STREAM = 0x50  # of the generator, apart from the samplers'
_LEAST = 2 * 32 * 32  # pixels: PFENet's smallest object
_RUNS = {"panet": 5, "hsnet": 1, "pfenet": 1}
_EPISODES = {"panet": 1000, "hsnet": 1000, "pfenet": 5000}
_SIZES = {"panet": 417, "hsnet": 400, "pfenet": None}


@dataclass(frozen=True)
class Pascal5iSettings:
    """Settings of the protocol; 0 takes the published number.

    Attributes:
        flavour: whose rules.
        fold: which fold is tested.
        folds: how many there are.
        layout: "rows" for PASCAL-5i (and PANet's COCO), "interleaved" for COCO-20i.
        shot: annotated images.
        runs: repetitions, each with a seed of its own.
        episodes: in a run; COCO-20i has 20000 in PFENet.
        walk: whether HSNet's queries are taken in order (PASCAL) or drawn (COCO).
        novel_images: whether training keeps images that show novel classes.
        seed: of the first run.
    """

    flavour: Flavour = "hsnet"
    fold: int = 0
    folds: int = 4
    layout: Layout = "rows"
    shot: int = 1
    runs: int = 0
    episodes: int = 0
    walk: bool = True
    novel_images: Literal["keep", "drop"] = "keep"
    seed: int = 0


def pascal5i(
    catalog: Catalog, settings: Pascal5iSettings | None = None, train: Catalog | None = None
) -> Protocol:
    """Build the protocol for catalogs with class areas.

    Args:
        catalog: the images to test on, its classes in the order of their numbers.
        settings: see there.
        train: the images to train on; none of them may be a test image. None for a test alone.

    Raises:
        DataError: a catalog has no class areas, or both hold an image.
        EpisodeError: a class has too few images for a query and its shots.
    """
    settings = settings or Pascal5iSettings()
    if min(settings.runs, settings.episodes) < 0 or settings.shot < 1:
        raise EpisodeError(
            f"runs, episodes and shot are {settings.runs}, {settings.episodes} and "
            f"{settings.shot}; expected 0 or more, and at least one shot"
        )
    catalog.require_areas()
    novel = novel_classes(catalog.classes, settings.fold, settings.folds, settings.layout)
    least = _LEAST if settings.flavour == "pfenet" else 1
    images = class_images(catalog, novel, settings.shot, least)
    order = _order(images, settings.flavour)
    cases: list[Case] = []
    for run in range(settings.runs or _RUNS[settings.flavour]):
        for index in range(settings.episodes or _EPISODES[settings.flavour]):
            generator = episode_generator(settings.seed + run, index, _STREAM)
            name, query = _query(images, order, settings, index, generator)
            plan = image_plan(len(cases), name, query, images[name], settings.shot, generator)
            cases.append(Case(f"run {run}", plan))
    seen, excluded = _training(train, catalog, novel, settings.novel_images)
    test = named_samples(catalog, cases, novel)
    name = "pascal5i" if settings.layout == "rows" else "coco20i"
    return Protocol(
        *(name, asdict(settings), seen, excluded, test, tuple(cases), "class"),
        score_size=_SIZES[settings.flavour],
    )


def novel_classes(
    classes: Sequence[str], fold: int, folds: int = 4, layout: Layout = "rows"
) -> tuple[str, ...]:
    """List the classes of a fold.

    >>> novel_classes("abcdefgh", 1), novel_classes("abcdefgh", 1, layout="interleaved")
    (('c', 'd'), ('b', 'f'))
    """
    start, end = fold_bounds(len(classes), folds, fold)
    return tuple(classes[start:end] if layout == "rows" else classes[fold::folds])


def class_images(
    catalog: Catalog, names: Sequence[str], shot: int, min_pixels: int = 1
) -> dict[str, list[Sample]]:
    """List, for each class, the images that show at least so many pixels of it.

    Raises:
        EpisodeError: a class has fewer images than a query and its shots need.
    """
    images = {
        name: [s for s in catalog.samples if (s.areas or {}).get(name, 0) >= min_pixels]
        for name in names
    }
    few = [name for name, found in images.items() if len(found) <= shot]
    if few:
        raise EpisodeError(
            f"classes {shorten(few)} have at most {shot} images of {min_pixels} pixels or more; "
            f"a query and {shot} shots need {shot + 1}. Add images or leave the classes out"
        )
    return images


def image_plan(
    index: int,
    name: str,
    query: Sample,
    images: Sequence[Sample],
    shot: int,
    generator: np.random.Generator,
) -> Plan:
    """Draw shots among the other images of the class."""
    # One more than needed is drawn, so that the query can be left out without a list of the others.
    drawn = generator.choice(len(images), size=shot + 1, replace=False).tolist()
    others = [images[place].key for place in drawn if images[place].key != query.key]
    return Plan(
        index=index,
        classes=(name,),
        support=(tuple(others[:shot]),),
        query=(query.key,),
        query_subjects=(query.subject,),
    )


def _query(
    images: Mapping[str, Sequence[Sample]],
    order: Sequence[tuple[str, Sample]],
    settings: Pascal5iSettings,
    index: int,
    generator: np.random.Generator,
) -> tuple[str, Sample]:
    """Choose the class and the query of an episode."""
    names = list(images)
    if settings.flavour == "panet" or (settings.flavour == "hsnet" and not settings.walk):
        name = names[int(generator.integers(len(names)))]
        return name, images[name][int(generator.integers(len(images[name])))]
    name, query = order[index % len(order)]
    if settings.flavour == "pfenet":
        present = [name for name in names if shows(query, name)]
        name = present[int(generator.integers(len(present)))]
    return name, query


def _order(images: Mapping[str, Sequence[Sample]], flavour: Flavour) -> list[tuple[str, Sample]]:
    """List the queries to walk through: pairs of class and image, or in "pfenet" images."""
    pairs = [(name, sample) for name, found in images.items() for sample in found]
    if flavour != "pfenet":
        return pairs
    first = {sample.key: (name, sample) for name, sample in reversed(pairs)}
    return [first[key] for key in sorted(first)]


def _training(
    train: Catalog | None, test: Catalog, novel: Sequence[str], novel_images: str
) -> tuple[Catalog, dict[str, int]]:
    if train is None:
        return Catalog((), (), name=test.name), {}
    train.require_areas()
    shared = {sample.key for sample in train.samples} & {sample.key for sample in test.samples}
    if shared:
        raise DataError(
            f"{len(shared)} images are for training and for testing: {shorten(sorted(shared), 3)}; "
            "expected two catalogs without a common image"
        )
    rule: Literal["any", "keep"] = "any" if novel_images == "drop" else "keep"
    return training_catalog(train, classes=novel, held_out={}, training_exclusion=rule)


@register_image_protocol("panet")
def _panet(catalog: Catalog, choices: ImageProtocolOptions) -> Protocol:
    return pascal5i(catalog, Pascal5iSettings("panet", **vars(choices)))


@register_image_protocol("hsnet")
def _hsnet(catalog: Catalog, choices: ImageProtocolOptions) -> Protocol:
    return pascal5i(catalog, Pascal5iSettings("hsnet", **vars(choices)))


@register_image_protocol("pfenet")
def _pfenet(catalog: Catalog, choices: ImageProtocolOptions) -> Protocol:
    return pascal5i(catalog, Pascal5iSettings("pfenet", **vars(choices)))


@register_image_protocol("coco-hsnet")
def _coco_hsnet(catalog: Catalog, choices: ImageProtocolOptions) -> Protocol:
    settings = Pascal5iSettings("hsnet", **vars(choices), layout="interleaved", walk=False)
    return pascal5i(catalog, settings)


@register_image_protocol("coco-pfenet")
def _coco_pfenet(catalog: Catalog, choices: ImageProtocolOptions) -> Protocol:
    settings = Pascal5iSettings("pfenet", **vars(choices), layout="interleaved", walk=False)
    return pascal5i(catalog, replace(settings, episodes=choices.episodes or 20_000))
