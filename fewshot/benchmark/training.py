"""One training a method, training catalog and seed; taken up again where it was stopped."""

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from episodes.catalog.catalog import Catalog
from episodes.catalog.splits import Split
from episodes.errors import DataError, FewshotError
from episodes.io.write import write_json
from episodes.protocols.base import Protocol, in_order
from fewshot.benchmark.cells import Setting, exclusion_tag
from fewshot.benchmark.memory import forget_peak
from fewshot.benchmark.methods import Recipe
from fewshot.benchmark.settings import Benchmark
from fewshot.experiments.run_record import read_split
from fewshot.experiments.settings import HoldOut, OutputSettings
from fewshot.experiments.split import make_split
from fewshot.experiments.train import fit, make_network
from fewshot.training.folder import STATE

DONE = "done.json"
"""Written last: a folder without it is trained on."""


@dataclass(frozen=True)
class Trained:
    """A finished training.

    Attributes:
        folder: as `fewshot train` writes it.
        steps: optimiser steps made.
        seconds: time taken, all parts of it where it was stopped.
        peak_mib: most memory held, by its last part where it was stopped; None if unknown.
    """

    folder: Path
    steps: int
    seconds: float
    peak_mib: float | None


def model_folder(out: Path, recipe: Recipe, setting: Setting, train: Catalog, seed: int) -> Path:
    """Name the folder of a model; protocols with one training catalog share it."""
    parts = (
        *(recipe.trainer, exclusion_tag(setting), f"fold{setting.fold}", f"seed{seed}"),
        train.fingerprint[:8],
    )
    return out / "models" / "_".join(parts)


def ensure_trained(
    recipe: Recipe,
    setting: Setting,
    protocol: Protocol,
    catalog: Catalog,
    seed: int,
    command: Benchmark,
) -> Trained:
    """Train on exactly the protocol's training catalog, go on with a training, or find it done.

    Raises:
        FewshotError: training is impossible; the message says which.
        KeyboardInterrupt: Ctrl-C ended the training, which can be taken up again.
    """
    if recipe.training is None:
        raise FewshotError(f"{recipe.name} is not trained")
    folder = model_folder(command.out, recipe, setting, protocol.train, seed)
    done = _read_done(folder)
    if done is not None:
        if read_split(folder)["train_fingerprint"] != protocol.train.fingerprint:
            raise DataError(
                f"{folder} was trained on other images than {protocol.name} allows; choose another "
                "--out"
            )
        return done
    stopped = (folder / STATE).exists()
    own = replace(
        recipe.training,
        data=command.data,
        out=folder,
        dataset=command.dataset,
        hold_out=_hold_out(protocol, catalog, setting),
        train=replace(recipe.training.train, seed=seed),
        resume=stopped,
        # Nothing but what a kill left before the first checkpoint.
        output=OutputSettings(overwrite=not stopped),
    )
    forget_peak()
    try:
        result = fit(make_network(own), _parts(protocol, catalog, own.hold_out), own)
    except FewshotError as error:
        raise type(error)(f"{recipe.trainer} cannot be trained ({setting}): {error}") from error
    if result.interrupted:
        raise KeyboardInterrupt
    peak = result.peak_mib if result.peak_mib == result.peak_mib else None
    trained = Trained(folder, result.steps, result.seconds, peak)
    numbers = {name: value for name, value in asdict(trained).items() if name != "folder"}
    write_json(folder / DONE, numbers)
    return trained


def _hold_out(protocol: Protocol, catalog: Catalog, setting: Setting) -> HoldOut:
    """Say what the protocol holds out in the words of `fewshot train`."""
    kept = set(protocol.train.subjects)
    return HoldOut(
        novel=protocol.test.classes,
        test_subjects=tuple(in_order(s for s in catalog.subjects if s not in kept)),
        training_exclusion=setting.training_exclusion,
    )


def _parts(protocol: Protocol, catalog: Catalog, hold_out: HoldOut) -> Split:
    """Hold out what `fewshot evaluate` will hold out, and see that training is the protocol's."""
    if not len(protocol.train):
        raise DataError(
            "no training image is left, so there are neither labels nor superpixels; hold out "
            "fewer classes, or choose another --training-exclusion"
        )
    parts = make_split(catalog, hold_out)
    if parts.train.fingerprint != protocol.train.fingerprint:
        raise DataError(
            f"{protocol.name} trains on {len(protocol.train)} images and `fewshot train` would on "
            f"{len(parts.train)}; expected the same. This is a fault of the package: report it"
        )
    return parts


def _read_done(folder: Path) -> Trained | None:
    path = folder / DONE
    try:
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return Trained(folder, **content)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError) as error:
        raise DataError(f"{path} cannot be used ({error!r}); remove it and try again") from error
