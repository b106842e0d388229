"""Frozen episode lists: drawn once, saved, and replayed exactly on the same data."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from episodes.augmentation.base import Transform
from episodes.catalog.catalog import Catalog
from episodes.catalog.loader import Loader
from episodes.errors import DataError, EpisodeError, shorten
from episodes.io.write import write_json
from episodes.sampling.episode import Episode, EpisodeBatch, Plan
from episodes.sampling.plans import PlanLoader, hash_plans
from episodes.sampling.sampler import EpisodeSampler

FORMAT = "fewshot episode list, version 1"
MAX_BYTES = 2**28
"""Largest list that is read, in bytes: about a million plans."""


@dataclass(frozen=True)
class EpisodeList:
    """Plans and what they were drawn from.

    Attributes:
        plans: the episodes, in order.
        seed: of the sampler, which a transform uses again.
        settings: of the sampler, for the record.
        catalog: name of the catalog.
        fingerprint: of the catalog; see `Catalog.fingerprint`. It covers keys, subjects, sizes and
            areas of classes, and not the pixels of images.
    """

    plans: tuple[Plan, ...]
    seed: int
    settings: Mapping[str, Any]
    catalog: str
    fingerprint: str

    @property
    def hash(self) -> str:
        """Hash of the plans, as results state it."""
        return hash_plans(self.plans)

    def save(self, path: Path) -> Path:
        """Write the list as JSON, whole or not at all."""
        content = _content(self)
        return write_json(path, {**content, "checksum": _checksum(content)})


class Replay:
    """Gives the episodes of a list, by their place in it; an `EpisodeSource`.

    Args:
        episodes: the list.
        catalog: that the list was drawn from.
        loader: reads the pixels.
        transform: as the sampler had.

    Raises:
        DataError: the catalog is another one.
    """

    def __init__(
        self,
        episodes: EpisodeList,
        catalog: Catalog,
        *,
        loader: Loader | None = None,
        transform: Transform | None = None,
    ) -> None:
        require_same_catalog(episodes, catalog)
        self.episodes = episodes
        self._loading = PlanLoader(catalog, loader, episodes.seed, transform)

    def __len__(self) -> int:
        return len(self.episodes.plans)

    def episode(self, index: int) -> Episode:
        """Load the episode at a place of the list."""
        return self._loading.load(self.plan(index))

    def plan(self, index: int) -> Plan:
        """Return the plan at a place of the list."""
        if not 0 <= index < len(self):
            raise EpisodeError(f"episode {index} of a list of {len(self)}; expected 0 or more")
        return self.episodes.plans[index]

    def load_batch(self, plans: Sequence[Plan]) -> EpisodeBatch:
        """Load the pixels of plans of one shape, stacked."""
        return self._loading.batch(plans)


def draw_list(sampler: EpisodeSampler, count: int) -> EpisodeList:
    """Draw the first `count` plans of a sampler and remember what they came from."""
    return EpisodeList(
        plans=tuple(sampler.plans(count)),
        seed=sampler.seed,
        settings=json.loads(json.dumps(asdict(sampler.settings))),
        catalog=sampler.catalog.name,
        fingerprint=sampler.catalog.fingerprint,
    )


def load_list(path: Path) -> EpisodeList:
    """Read a list and check that it is whole and unchanged.

    Raises:
        DataError: no such file, no episode list, or one that was changed after it was saved.
    """
    try:
        size = path.stat().st_size
        if size > MAX_BYTES:
            raise DataError(f"{path} has {size:,} bytes; expected at most {MAX_BYTES:,}")
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise DataError(f"there is no episode list {path}; check the name") from None
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"{path} cannot be read as an episode list: {error}") from error
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise DataError(f"{path} is no episode list; expected JSON with the format {FORMAT!r}")
    checksum = content.pop("checksum", None)
    if checksum != _checksum(content):
        raise DataError(
            f"{path} was changed after it was saved: its checksum is {checksum!r} and its content "
            f"gives {_checksum(content)!r}. Get the original file again"
        )
    found = _parse(path, content)
    if found.hash != content.get("hash"):
        raise DataError(
            f"{path} says that its episodes have the hash {content.get('hash')!r}, but they have "
            f"{found.hash!r}. Get the original file again"
        )
    return found


def require_same_catalog(episodes: EpisodeList, catalog: Catalog) -> None:
    """Raise unless the list was drawn from a catalog with this fingerprint."""
    if catalog.fingerprint == episodes.fingerprint:
        return
    keys = {sample.key for sample in catalog.samples}
    requested = [
        key for plan in episodes.plans for row in (*plan.support, plan.query) for key in row
    ]
    missing = [key for key in dict.fromkeys(requested) if key not in keys]
    what = (
        f"it lacks {shorten(missing, 4)}"
        if missing
        else "it has all images of the list, so masks, subjects, classes or further images differ"
    )
    raise DataError(
        f"the episodes were drawn from another catalog than {catalog.name!r} (fingerprint "
        f"{episodes.fingerprint[:12]}, here {catalog.fingerprint[:12]}): {what}. Use the same "
        "data, classes and subjects, or draw a new list"
    )


def _content(episodes: EpisodeList) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "hash": episodes.hash,
        "seed": episodes.seed,
        "settings": dict(episodes.settings),
        "catalog": episodes.catalog,
        "fingerprint": episodes.fingerprint,
        "plans": [asdict(plan) for plan in episodes.plans],
    }


def _checksum(content: Mapping[str, Any]) -> str:
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _parse(path: Path, content: Mapping[str, Any]) -> EpisodeList:
    try:
        plans = tuple(_plan(row) for row in content["plans"])
        return EpisodeList(
            plans,
            int(content["seed"]),
            dict(content["settings"]),
            str(content["catalog"]),
            str(content["fingerprint"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"{path} is no episode list: {error!r}; draw a new one") from error


def _plan(row: Mapping[str, Any]) -> Plan:
    def texts(values: Sequence[object]) -> tuple[str, ...]:
        return tuple(str(value) for value in values)

    return Plan(
        index=int(row["index"]),
        classes=texts(row["classes"]),
        support=tuple(texts(keys) for keys in row["support"]),
        query=texts(row["query"]),
        query_subjects=texts(row["query_subjects"]),
    )
