"""`fewshot protocol`: score copy-mask and a trained model as the published protocols do."""

import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from episodes.catalog.catalog import Catalog
from episodes.errors import DataError, shorten
from episodes.io.write import make_folder
from episodes.protocols.base import Protocol, in_order
from episodes.protocols.names import IMAGE_PROTOCOLS, SUBJECT_PROTOCOLS, VOLUME_PROTOCOLS
from episodes.protocols.one_image import OneImageSettings
from episodes.protocols.registry import (
    FOLDS,
    ImageProtocolOptions,
    ProtocolOptions,
    build_protocol,
    parse_support,
)
from fewshot.cli.options import ProtocolRun
from fewshot.cli.predictor_option import predictor_of
from fewshot.evaluation import protocol_results
from fewshot.evaluation.confusion_counts import (
    CasePredictor,
    CopyMask,
    GroundTruth,
    count_protocol,
    pool_by_subject,
)
from fewshot.evaluation.protocol_predictor import ProtocolPredictor
from fewshot.evaluation.protocol_results import ProtocolResult
from fewshot.experiments.run_record import commands_of, read_split, recorded_hold_out
from fewshot.experiments.split import open_catalog
from fewshot.inference.predictors.build import build_predictor, needs_network
from fewshot.models.checkpoint import build_network, load_network
from fewshot.models.network import FewShotNetwork
from fewshot.provenance import typed_command, unchanged


def protocol(command: ProtocolRun) -> int:
    """Score every protocol asked for, print the tables, write the result."""
    started = time.monotonic()
    if not command.protocols:
        raise DataError("--protocols is empty; name at least one")
    if command.result is not None:
        make_folder(command.result.parent)
    catalog = open_catalog(command.data, command.dataset, masks_for="a protocol")
    laid = {name: _folds(name, catalog, command) for name in dict.fromkeys(command.protocols)}
    truth = GroundTruth(catalog)
    methods: dict[str, CasePredictor] = {"copy-mask": CopyMask(truth)}
    identity: dict[str, Any] = {}
    alone = _without_network(truth, command)
    if command.model is not None:
        if alone:
            raise DataError(f"--predictor {next(iter(alone))} uses no model; leave out --model")
        for parts in laid.values():
            check_unseen(command.model, parts, catalog, command.training_exclusion)
        with unchanged(command.model) as identity:
            network = load_network(command.model)
        methods["model"] = _method(truth, network, command)
    if command.untrained:
        if alone:
            raise DataError(f"--predictor {next(iter(alone))} uses no model; leave out --untrained")
        methods["untrained"] = _method(truth, build_network(), command)
    methods |= alone
    found = [
        ProtocolResult(name, method, tuple(parts), tuple(_counts(parts, run, truth)))
        for name, parts in laid.items()
        for method, run in methods.items()
    ]
    print(protocol_results.text(found))
    if command.result is not None:
        about = {
            "data": command.data.resolve().name,
            "fingerprint": catalog.fingerprint,
            "settings": _settings(command, [*methods.values()][-1]),
            "seconds": round(time.monotonic() - started, 1),
            **identity,
        }
        earlier = [] if command.model is None else commands_of(read_split(command.model))
        commands = [*earlier, typed_command()]
        protocol_results.write(command.result, command.headline, found, about, commands)
        print(f"result in {command.result}")
    return 0


def check_unseen(
    model: Path, parts: Sequence[Protocol], catalog: Catalog, training_exclusion: str
) -> None:
    """Refuse a model that was trained on what the protocol keeps from training.

    Raises:
        DataError: a training subject is held by a fold, a tested class was a base class, or the
            rule for training slices was another.
    """
    remembered = read_split(model)
    held: set[str] = set()
    for part in parts:
        # Protocols of images test what the catalog holds and say nothing of training images.
        whole = set(catalog.subjects) - set(part.train.subjects)
        held |= whole if part.unit == "subject" else set(part.test.subjects)
    classes = {name for part in parts for name in part.test.classes}
    seen = sorted(held & set(remembered.get("train_subjects", ())))
    known = sorted(classes & set(remembered.get("base_classes", ())))
    rule = recorded_hold_out(remembered, model).training_exclusion
    if seen or known:
        what = f"subjects {shorten(seen)}" if seen else f"classes {', '.join(known)}"
        raise DataError(
            f"{model} was trained on {what}, which the protocol tests or keeps from training; "
            "choose the --fold and --novel that it was trained beside, or train with --novel "
            f"{' '.join(sorted(classes))} --test-subjects {' '.join(in_order(held))}"
        )
    if rule != training_exclusion:
        raise DataError(
            f"{model} was trained with --training-exclusion {rule} and is tested with "
            f"{training_exclusion}; expected the same, "
            "since it says which setting a score belongs to"
        )


def _without_network(truth: GroundTruth, command: ProtocolRun) -> dict[str, ProtocolPredictor]:
    """Build the predictor where it needs no model; copy-mask is scored in any case."""
    name, settings = predictor_of(command.inference)
    if needs_network(name) or name == "copy-mask":
        return {}
    return {name: ProtocolPredictor(truth, build_predictor(None, name, settings))}


def _method(truth: GroundTruth, network: FewShotNetwork, command: ProtocolRun) -> ProtocolPredictor:
    """Use the model as users do on single images, else with its features remembered."""
    name, settings = predictor_of(command.inference)
    if command.protocols[0] in SUBJECT_PROTOCOLS:
        name = "end-to-end"
    return ProtocolPredictor(truth, build_predictor(network.eval(), name, settings))


def _folds(name: str, catalog: Catalog, command: ProtocolRun) -> list[Protocol]:
    _check_options(name, command)
    if name in SUBJECT_PROTOCOLS:
        place = "all" if command.support == "published" else parse_support(name, command.support)
        chosen = OneImageSettings(_test_subjects(catalog, command), command.novel, place)
        return [SUBJECT_PROTOCOLS[name](catalog, chosen)]
    volumes = name in VOLUME_PROTOCOLS
    count = (FOLDS if volumes else 4) if command.folds is None else command.folds
    if count < 1:
        raise DataError(f"--folds is {count}; expected at least 1, or leave it out for its default")
    folds = range(count) if command.fold is None else [command.fold]
    if not volumes:
        given = [
            ImageProtocolOptions(fold, count, command.shot, command.episodes or 0) for fold in folds
        ]
        return [IMAGE_PROTOCOLS[name](catalog, each) for each in given]
    rest = (count, command.novel, command.training_exclusion, parse_support(name, command.support))
    return [build_protocol(name, catalog, ProtocolOptions(fold, *rest)) for fold in folds]


def _test_subjects(catalog: Catalog, command: ProtocolRun) -> tuple[str, ...]:
    """Those named, or those with an image in the folder named."""
    if command.test_folder is None:
        return command.test_subjects
    inside = command.test_folder.rstrip("/") + "/"
    found = {sample.subject for sample in catalog.samples if sample.key.startswith(inside)}
    if not found:
        raise DataError(
            f"no image lies in the folder {command.test_folder!r} of {command.data}; expected the "
            f"beginning of a path such as {catalog.samples[0].key}"
        )
    return tuple(in_order(found))


def _check_options(name: str, command: ProtocolRun) -> None:
    """Refuse an option that the protocol has no use for."""
    volumes, alone = name in VOLUME_PROTOCOLS, name in SUBJECT_PROTOCOLS
    if alone and len(command.protocols) > 1:
        raise DataError(f"{name} tests other subjects than the rest; run it by itself")
    given_subjects = bool(command.test_subjects) or command.test_folder is not None
    unused = {
        "shot": command.shot != 1 and (volumes or alone),
        "episodes": command.episodes is not None and (volumes or alone),
        "support": command.support != "published" and not (volumes or alone),
        "novel": bool(command.novel) and not (volumes or alone),
        "training-exclusion": command.training_exclusion != "keep" and not volumes,
        "test-subjects": given_subjects and not alone,
        "zoom": command.inference.zoom is not None and not alone,
        "ensemble": command.inference.ensemble is not None and alone,
        "predictor": not volumes
        and command.inference.predictor not in ("slice", "end-to-end")
        and needs_network(predictor_of(command.inference)[0]),
        "fold": command.fold is not None and alone,
    }
    given = [f"--{option}" for option, used in unused.items() if used]
    if given:
        kind = "volumes" if volumes else "images"
        raise DataError(f"{name} is a protocol of {kind} and takes no {' '.join(given)}")


def _counts(parts: Sequence[Protocol], method: CasePredictor, truth: GroundTruth) -> list[Any]:
    return pool_by_subject(
        c for part in parts for c in count_protocol(part, method, truth, progress=True)
    )


def _settings(command: ProtocolRun, method: CasePredictor | None) -> dict[str, Any]:
    predictor = method.predictor if isinstance(method, ProtocolPredictor) else None
    network = getattr(predictor, "network", None)
    return {
        "segmenter": asdict(network.settings) if network is not None else None,
        "predictor": command.inference.predictor,
        "settings": asdict(predictor.settings) if predictor else None,
    }
