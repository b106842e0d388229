"""Protocols by their names on the command line; each is registered beside its definition."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from episodes.catalog.catalog import Catalog
from episodes.catalog.splits import TrainingExclusion
from episodes.errors import DataError
from episodes.protocols.base import Protocol
from episodes.protocols.names import IMAGE_PROTOCOLS, SUBJECT_PROTOCOLS, VOLUME_PROTOCOLS

FOLDS = 5
"""Default number of folds of scans."""


@dataclass(frozen=True)
class ProtocolOptions:
    """Options of the volume protocols.

    Attributes:
        fold: index of the fold that is tested.
        folds: number of folds.
        classes: those tested; all by default.
        training_exclusion: which training slices are dropped.
        support: index of the support scan, or "all"; see `parse_support`.
    """

    fold: int
    folds: int = FOLDS
    classes: tuple[str, ...] = ()
    training_exclusion: TrainingExclusion = "keep"
    support: int | Literal["all"] = 0


@dataclass(frozen=True)
class ImageProtocolOptions:
    """Options of the image protocols.

    Attributes:
        fold: index of the fold of classes that is tested.
        folds: number of folds.
        shot: annotated images of the class.
        episodes: number per run; 0 for the published number.
    """

    fold: int
    folds: int = 4
    shot: int = 1
    episodes: int = 0


@dataclass(frozen=True)
class VolumeProtocol:
    """A registered protocol of volumes.

    Attributes:
        build: makes the protocol for a catalog with class areas.
        published_support: index of the published support scan.
    """

    build: Callable[[Catalog, ProtocolOptions], Protocol]
    published_support: int


OfVolumes = Callable[[Catalog, ProtocolOptions], Protocol]
OfImages = Callable[[Catalog, ImageProtocolOptions], Protocol]
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


def build_protocol(name: str, catalog: Catalog, options: ProtocolOptions) -> Protocol:
    """Build a protocol of volumes for a catalog with class areas.

    Raises:
        UnknownPartError: there is no such protocol of volumes.
        DataError, EpisodeError: see the protocol's module.
    """
    return VOLUME_PROTOCOLS[name].build(catalog, options)


def parse_support(name: str, support: str) -> int | Literal["all"]:
    """Parse `--support`: all, an index, or published, which depends on the protocol."""
    if support == "published":
        return VOLUME_PROTOCOLS[name].published_support if name in VOLUME_PROTOCOLS else 0
    if support == "all":
        return "all"
    try:
        return int(support)
    except ValueError:
        raise DataError(
            f"support is {support!r}; expected published, all, or an index such as 0"
        ) from None
