"""`fewshot evaluate`: the held-out classes of the held-out subjects, beside copy-mask."""

import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from episodes.catalog.catalog import Catalog
from episodes.catalog.loader import Loader
from episodes.errors import DataError
from episodes.io.write import make_folder, write_image, write_json
from episodes.sampling.sampler import EpisodeSampler, EpisodeSettings
from fewshot.cli.options import Evaluate
from fewshot.evaluation import episodic as evaluation
from fewshot.evaluation import results
from fewshot.evaluation.figures import evaluation_sheet
from fewshot.evaluation.query_scores import QueryScores
from fewshot.experiments.run_record import (
    commands_of,
    read_split,
    recorded_dataset,
    recorded_hold_out,
    training_seconds,
)
from fewshot.experiments.split import make_split, open_catalog
from fewshot.metrics.mask_scores import check_metrics
from fewshot.models.checkpoint import load_network
from fewshot.provenance import typed_command, unchanged
from fewshot.training.folder import refuse_scores


def evaluate(command: Evaluate) -> int:
    """Score the model, print the table, write scores, cases and a contact sheet."""
    started = time.monotonic()
    out = command.out or command.model / "evaluation"
    refuse_scores(out, command.model, overwrite=command.output.overwrite)
    check_metrics(command.scores.metrics)
    make_folder(out)
    with unchanged(command.model) as identity:
        network = load_network(command.model)
    remembered = read_split(command.model)
    data = command.data or Path(remembered["data"])
    test = held_out(remembered, data, command)
    sampler = EpisodeSampler(
        test,
        EpisodeSettings(way=command.way, shot=command.shot),
        loader=Loader(network.settings.size),
        seed=command.seed,
    )
    asked = command.scores
    scores = QueryScores(asked.metrics, asked.tolerance, test) if asked.metrics else None
    found = evaluation.evaluate(network, sampler, command.episodes, progress=True, scores=scores)
    print(found.text())
    (out / "scores.json").unlink(missing_ok=True)  # no picture beside another evaluation's scores
    write_image(out / "episodes.png", evaluation_sheet(network, sampler, found))
    left_out = ("data", "command", "earlier_commands")
    about = {
        "data": data.resolve().name,
        "split": {key: value for key, value in remembered.items() if key not in left_out},
        "settings": {"segmenter": asdict(network.settings), "episode": asdict(sampler.settings)},
        "seed": command.seed,
        "seconds": round(training_seconds(command.model) + time.monotonic() - started, 1),
        **identity,
    }
    if scores is not None:
        report = scores.report()
        about["metrics"] = scores.content(report)
        print(f"\n{scores.text(report)}")
    write_json(out / "scores.json", {**about, **found.content()})
    print(f"scores and pictures in {out}")
    if command.result is not None:
        commands = [*commands_of(remembered), typed_command()]
        results.write(command.result, command.headline, found, about, commands)
        print(f"result in {command.result}")
    return 0


def held_out(remembered: dict[str, Any], data: Path, command: Evaluate) -> Catalog:
    """Open the data that a model was trained beside, and keep what training has not seen.

    Args:
        remembered: the model's split.
        data: the data set.
        command: of it, the model and the cache.

    Raises:
        DataError: every subject was trained on, or the data is not what it was.
    """
    if not remembered.get("test_subjects", True):
        raise DataError(
            f"{command.model} was trained on every subject (--test-share 0), so none is held out "
            "to evaluate on; train again with --test-share 0.25, or score it on other data with "
            "`fewshot protocol`"
        )
    dataset = recorded_dataset(remembered, command.model, cache=command.cache)
    catalog = open_catalog(data, dataset, masks_for="an evaluation")
    test = make_split(catalog, recorded_hold_out(remembered, command.model)).test
    if test.fingerprint != remembered["test_fingerprint"]:
        raise DataError(
            f"{data} is not what {command.model} was trained beside: its test images or masks "
            "differ, so training may have seen them. Evaluate on the same data, or train again"
        )
    return test
