"""Settings chosen inside a training fold, so that no test scan has a say in them.

A recipe with `AMONG` names, for some of its settings at test time, the values worth trying. Each
model tries them on its own training scans, which a protocol cuts into folds once more: scans of
one are queries, the first one after it that shows all classes is the support, and nothing else
differs from the test. One setting after another takes the value that scores best, in the order of
the recipe; on a tie the earlier value stays. (The outer loop of a nested cross-validation then
scores the choice: Varma, Simon, Bias in error estimation when using cross-validation for model
selection, BMC Bioinformatics 2006.)

What was tried is remembered value by value, so that a stopped choice goes on.
"""

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from episodes.catalog.catalog import Catalog
from episodes.errors import DataError, EpisodeError, ModelError
from episodes.io.write import make_folder, write_json
from episodes.protocols.aggregate import by_scan
from episodes.protocols.base import Protocol
from episodes.protocols.registry import ProtocolOptions, build_protocol
from fewshot.benchmark.cells import Setting
from fewshot.benchmark.methods import Recipe, build_method
from fewshot.evaluation.confusion_counts import GroundTruth, count_protocol, pool_by_subject
from fewshot.models.network import FewShotNetwork
from fewshot.provenance import MEASURED_ON

FORMAT = 1
INNER_FOLDS = 4
"""Folds of the training scans, unless there are fewer scans."""


@dataclass(frozen=True)
class Choice:
    """What a model chose.

    Attributes:
        settings: at test time, all of them.
        seconds: that it took; 0 where it was taken over.
    """

    settings: dict[str, Any]
    seconds: float


def choose(
    recipe: Recipe,
    network: FewShotNetwork,
    protocol: Protocol,
    setting: Setting,
    truth: GroundTruth,
    path: Path,
    identity: Mapping[str, Any],
) -> Choice:
    """Choose the settings of a recipe at test time, or find them chosen.

    Args:
        recipe: names the values to try.
        network: trained on the protocol's training catalog.
        protocol: one fold; only its training subjects and its classes are looked at.
        setting: what the protocol is of.
        truth: of the whole catalog.
        path: of the file in which what was tried is remembered.
        identity: of the segmenter (`fewshot.provenance`); what another one tried is tried again.

    Raises:
        DataError: there are too few training scans, or the file belongs to another choice.
    """
    inner = list(inner_protocols(protocol, setting, truth.catalog))
    about = {
        **_about(recipe, protocol),
        "train": protocol.train.fingerprint,
        "cases": [each.hash for each in inner],
    }
    make_folder(path.parent)
    tried = _read(path, about, identity)
    method = None

    def dice(candidate: dict[str, Any]) -> float:
        nonlocal method
        known = _known(tried, candidate)
        if known is not None:
            return known
        started = time.monotonic()
        method = build_method(replace(recipe, test=candidate), network, truth, like=method)
        counts = [count for each in inner for count in count_protocol(each, method, truth)]
        found = by_scan(pool_by_subject(counts)).value
        seconds = round(time.monotonic() - started, 2)
        tried.append({"settings": candidate, "dice": found, "seconds": seconds})
        write_json(path, {**about, **identity, "tried": tried})
        return found

    settings = _best(recipe, dice)
    return Choice(settings, round(sum(each["seconds"] for each in tried), 2))


def taken(recipe: Recipe, protocol: Protocol, path: Path) -> Choice:
    """Take what another model chose on the same training scans, such as that of setting 1.

    Raises:
        DataError: it did not, or not yet to the end.
    """
    tried = _read(path, _about(recipe, protocol))

    def dice(candidate: dict[str, Any]) -> float:
        known = _known(tried, candidate)
        if known is None:
            raise DataError(
                f"{path} holds no finished choice of {recipe.name}; run the benchmark that "
                "--choices names to its end"
            )
        return known

    return Choice(_best(recipe, dice), 0.0)


def _known(tried: Sequence[Mapping[str, Any]], settings: dict[str, Any]) -> float | None:
    return next((each["dice"] for each in tried if each["settings"] == settings), None)


def _best(recipe: Recipe, dice: Callable[[dict[str, Any]], float]) -> dict[str, Any]:
    """Let one setting after another take its best value."""
    settings = dict(recipe.test)
    unset = [name for name in recipe.among if name not in settings]
    if unset:
        raise ModelError(
            f"recipe {recipe.name} chooses {', '.join(unset)} in AMONG, and its TEST does not say "
            "where to start; expected a value there"
        )
    for name, values in recipe.among.items():
        others = [value for value in values if value != settings[name]]
        settings = max([settings, *({**settings, name: value} for value in others)], key=dice)
    return settings


def _about(recipe: Recipe, protocol: Protocol) -> dict[str, Any]:
    subjects = list(protocol.train.subjects)
    return {"format": FORMAT, "recipe": recipe.name, "subjects": subjects}


def inner_protocols(protocol: Protocol, setting: Setting, catalog: Catalog) -> Iterator[Protocol]:
    """Lay a protocol over the training scans of one of its folds: each is a query once.

    Args:
        protocol: one fold.
        setting: what it is of.
        catalog: that it was laid over.

    Raises:
        DataError: there is but one training scan.
    """
    subjects = protocol.train.subjects
    if len(subjects) < 2:
        raise DataError(
            f"{len(subjects)} training scan is left of {protocol.name}, and settings are chosen "
            "on at least two; choose a recipe without AMONG, or more folds"
        )
    folds = min(INNER_FOLDS, len(subjects))
    within = catalog.of_subjects(subjects)
    classes = protocol.test.classes
    for fold in range(folds):
        choices = ProtocolOptions(
            fold, folds, classes, training_exclusion=setting.training_exclusion
        )
        yield _first_laid(setting, within, choices)


def _first_laid(setting: Setting, catalog: Catalog, choices: ProtocolOptions) -> Protocol:
    """Lay a protocol with the first support scan that shows all classes."""
    last = len(catalog.subjects) - 1
    for place in range(last):
        try:
            return build_protocol(setting.protocol, catalog, replace(choices, support=place))
        except EpisodeError as error:  # this scan lacks a class
            missing = error
    raise DataError(f"no training scan can be the support of an inner fold: {missing}")


def _read(
    path: Path, about: dict[str, Any], identity: Mapping[str, Any] | None = None
) -> list[dict[str, Any]]:
    """Read what was tried for the same choice; nothing where nobody began, or another model did."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        tried = [
            {name: each[name] for name in ("settings", "dice", "seconds")}
            for each in content["tried"]
        ]
    except FileNotFoundError:
        return []
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(
            f"{path} cannot be used ({error!r}); remove it, and it is remade"
        ) from error
    if any(content.get(name) != value for name, value in about.items()):
        raise DataError(
            f"{path} was chosen on other training scans than this command's; the data or the "
            "protocol changed, so choose another --out"
        )
    if identity and MEASURED_ON in content and content[MEASURED_ON] != identity[MEASURED_ON]:
        return []
    return tried
