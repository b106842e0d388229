"""Protocols by their names on the command line; each is registered beside its definition."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from episodes.catalog.catalog import Catalog
from episodes.catalog.splits import Exclude
from episodes.errors import DataError
from episodes.protocols.base import Protocol
from episodes.protocols.names import IMAGE_PROTOCOLS, SUBJECT_PROTOCOLS, VOLUME_PROTOCOLS

FOLDS = 5
"""Folds of scans, unless told otherwise."""


@dataclass(frozen=True)
class Choices:
    """What the volume protocols share.

    Attributes:
        fold: which fold is tested.
        folds: how many there are.
        classes: those tested; all by default.
        exclude: which training slices are dropped.
        support: a place or "all"; see `read_support`.
    """

    fold: int
    folds: int = FOLDS
    classes: tuple[str, ...] = ()
    exclude: Exclude = "none"
    support: int | Literal["all"] = 0


@dataclass(frozen=True)
class ImageChoices:
    """What the protocols of images share.

    Attributes:
        fold: which fold of the classes is tested.
        folds: how many there are.
        shot: annotated images.
        episodes: in a run; 0 for as many as published.
    """

    fold: int
    folds: int = 4
    shot: int = 1
    episodes: int = 0


@dataclass(frozen=True)
class VolumeProtocol:
    """What the name of a protocol of volumes stands for.

    Attributes:
        build: lays it over a measured catalog.
        published_support: place of the published support scan.
    """

    build: Callable[[Catalog, Choices], Protocol]
    published_support: int


OfVolumes = Callable[[Catalog, Choices], Protocol]
OfImages = Callable[[Catalog, ImageChoices], Protocol]
OfSubjects = Callable[[Catalog, Any], Protocol]


def register_volume_protocol(
    name: str, *, published_support: int = 0
) -> Callable[[OfVolumes], OfVolumes]:
    """Return a decorator that names a protocol of volumes for `fewshot protocol` and benchmarks."""

    def add(build: OfVolumes) -> OfVolumes:
        VOLUME_PROTOCOLS.add(name, VolumeProtocol(build, published_support), build)
        return build

    return add


def register_image_protocol(name: str) -> Callable[[OfImages], OfImages]:
    """Return a decorator that names a protocol of images for `fewshot protocol`."""
    return IMAGE_PROTOCOLS.register(name)


def register_subject_protocol(name: str) -> Callable[[OfSubjects], OfSubjects]:
    """Return a decorator that names a protocol that tests some subjects for `fewshot protocol`.

    It is built from `fewshot.OneImageSettings`.
    """
    return SUBJECT_PROTOCOLS.register(name)


def lay(name: str, catalog: Catalog, choices: Choices) -> Protocol:
    """Lay a protocol of volumes over a measured catalog.

    Raises:
        UnknownPartError: there is no such protocol of volumes.
        DataError, EpisodeError: see the protocol's module.
    """
    return VOLUME_PROTOCOLS[name].build(catalog, choices)


def read_support(name: str, wanted: str) -> int | Literal["all"]:
    """Read `--support`: all, a place, or the published one, which depends on the protocol."""
    if wanted == "published":
        return VOLUME_PROTOCOLS[name].published_support if name in VOLUME_PROTOCOLS else 0
    if wanted == "all":
        return "all"
    try:
        return int(wanted)
    except ValueError:
        raise DataError(
            f"support is {wanted!r}; expected published, all, or a place such as 0"
        ) from None
