"""Published protocols of volumes by their names on the command line, laid over a catalog."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, get_args

from episodes.catalog.catalog import Catalog
from episodes.catalog.splits import Exclude
from episodes.errors import DataError
from episodes.protocols.adnet import AdnetSettings, adnet
from episodes.protocols.alpnet import AlpnetSettings, alpnet
from episodes.protocols.base import Protocol
from episodes.protocols.full_volume import FullVolumeSettings, full_volume
from episodes.protocols.names import VolumeProtocol

FOLDS = 5
"""Folds of scans, unless told otherwise."""
VOLUME_PROTOCOLS: tuple[VolumeProtocol, ...] = get_args(VolumeProtocol)


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


def lay(name: VolumeProtocol, catalog: Catalog, choices: Choices) -> Protocol:
    """Lay a protocol of volumes over a measured catalog.

    Raises:
        DataError, EpisodeError: see the protocol's module.
    """
    return _LAID[name](catalog, vars(choices))


def read_support(name: str, wanted: str) -> int | Literal["all"]:
    """Read `--support`: all, a place, or the published one, which depends on the protocol."""
    if wanted == "published":
        return -1 if name.startswith("adnet") else 0
    if wanted == "all":
        return "all"
    try:
        return int(wanted)
    except ValueError:
        raise DataError(
            f"support is {wanted!r}; expected published, all, or a place such as 0"
        ) from None


def _whole(catalog: Catalog, shared: dict[str, Any], **rest: Any) -> Protocol:
    return full_volume(catalog, FullVolumeSettings(**shared, **rest))


_LAID: dict[VolumeProtocol, Callable[[Catalog, dict[str, Any]], Protocol]] = {
    "alpnet": lambda catalog, shared: alpnet(catalog, AlpnetSettings(**shared)),
    "adnet": lambda catalog, shared: adnet(catalog, AdnetSettings(**shared)),
    "adnet-2": lambda catalog, shared: adnet(catalog, AdnetSettings(**shared, evaluation=2)),
    "full-middle": lambda catalog, shared: _whole(catalog, shared, choose="middle"),
    "full-thirds": lambda catalog, shared: _whole(catalog, shared, choose="thirds"),
    "full-slices": lambda catalog, shared: _whole(catalog, shared),
    "full-volume": lambda catalog, shared: _whole(catalog, shared, annotated="volume"),
}
