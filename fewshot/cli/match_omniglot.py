"""`fewshot match omniglot`: Lake's 20 one-shot runs and n-way k-shot trials, beside baselines."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from episodes.catalog.letterbox import Letterbox, to_tensor
from episodes.errors import DataError
from episodes.protocols.omniglot import (
    Trial,
    alphabets,
    draw_trials,
    official_runs,
)
from episodes.readers.omniglot import SIZE, read_strokes
from episodes.sampling.episode import to_channels
from fewshot.baselines.hausdorff import ink_points, modified_hausdorff
from fewshot.cli.match_options import MatchOmniglot
from fewshot.cli.omniglot_tables import (
    headline,
    percent_right,
    result_row,
    table_of_runs,
    table_of_tasks,
)
from fewshot.evaluation import results
from fewshot.experiments.run_record import commands_of, read_split, training_seconds
from fewshot.metrics.tables import shown, with_interval
from fewshot.models.embedding_network import EmbeddingNetwork, load_embedding
from fewshot.provenance import typed_command
from fewshot.siamese.retrieval.one_shot_classification import (
    classify,
    max_view_similarity,
    nearest_example_similarity,
)
from fewshot.siamese.retrieval.tta_views import embed_with_tta
from fewshot.siamese.retrieval.whitening import within_class_whitening
from fewshot.training.folder import SPLIT

Whitened = tuple[EmbeddingNetwork, np.ndarray]
"""A network, and the matrix that its embeddings are multiplied by."""

RUNS, EVALUATION = "all_runs.zip", "images_evaluation.zip"
BACKGROUND = "images_background.zip"
TASKS = ((5, 1), (5, 5), (20, 1), (20, 5))
_CHUNK = 256
_EVERY = 3  # character of the background set gives a covariance
_THUMBNAIL = 32  # side to which drawings are brought for the comparison of pixels


def match_omniglot(command: MatchOmniglot) -> int:
    """Score, say it, and write the result."""
    started = time.monotonic()
    networks = [load_embedding(folder) for folder in command.model]
    remembered = [_only_background(folder) for folder in command.model]
    whitened = [(network, _whitening(command, network)) for network in networks]
    lake = _lake(command, whitened)
    rows = [lake, *_trials(command, whitened)]
    for row in rows:
        value = with_interval(row["value"], row["ci95"])
        print(f"{row['name']}: {value} %, baseline {shown(row['baseline'])}")
    if command.result is not None:
        seconds = sum(map(training_seconds, command.model)) + time.monotonic() - started
        commands = [each for split in remembered for each in commands_of(split)]
        part = {
            "headline": [headline(row) for row in rows if "headline" in row],
            "about": _about(command, networks),
            "commands": [*dict.fromkeys(commands), typed_command()],
            **results.dated(),
            "seconds": round(seconds, 1),
            "networks": [_network(each) for each in zip(networks, remembered, strict=True)],
            "views": command.views,
            "centred": command.centred,
            "whitened": command.whitened,
            "seed": command.seed,
            "tables": [table_of_tasks(rows), table_of_runs(lake)],
            "results": rows,
        }
        results.add_part(command.result, "one-shot", part)
        print(f"result: {command.result}")
    return 0


def embed_drawings(
    network: EmbeddingNetwork, drawings: Sequence[np.ndarray], views: int, seed: int
) -> np.ndarray:
    """Embed drawings: float32 [drawing view dim], of unit length.

    Args:
        network: of the embeddings.
        drawings: bool [height width], ink is True.
        views: of every drawing.
        seed: of the changes.
    """
    parts = []
    for start in tqdm(range(0, len(drawings), _CHUNK), desc="embedding", unit="batch"):
        images = []
        for ink in drawings[start : start + _CHUNK]:
            paper = np.where(ink, 0, 255).astype(np.uint8)
            frame = Letterbox(*SIZE, network.settings.size)
            images.append(to_channels(frame.fit_image(to_tensor(paper, (0.0, 255.0))), 1))
        # The loader of training keeps half precision as well.
        batch = torch.stack(images).half().float()
        parts.append(embed_with_tta(network, batch, views, seed=seed + start).cpu().numpy())
    return np.concatenate(parts)


def _lake(command: MatchOmniglot, networks: Sequence[Whitened]) -> dict[str, Any]:
    archive = command.data / RUNS
    trials = official_runs(archive)
    names = _names(trials)
    drawings = {name: read_strokes(archive, name) for name in names}
    answers = classify(
        trials, max_view_similarity(_embedded(command, networks, drawings), command.centred)
    )
    points = {name: ink_points(ink) for name, ink in drawings.items()}
    hausdorff = classify(
        trials,
        nearest_example_similarity(
            lambda one, other: modified_hausdorff(points[one], points[other])
        ),
    )
    row = result_row("lake_20_runs_accuracy", trials, answers, hausdorff, by_run=True)
    pixels = classify(trials, max_view_similarity([_thumbnails(drawings)]))
    row["pixels"] = percent_right(trials, pixels, by_run=True)
    row["headline"], row["baseline_name"] = True, "modified Hausdorff distance"
    row["protocol"] = "20 official runs, 20-way 1-shot within an alphabet"
    return row


def _trials(command: MatchOmniglot, networks: Sequence[Whitened]) -> list[dict[str, Any]]:
    archive = command.data / EVALUATION
    listed = alphabets(archive)
    names = [name for found in listed.values() for each in found.values() for name in each]
    drawings = {name: read_strokes(archive, name) for name in names}
    ours = max_view_similarity(_embedded(command, networks, drawings), command.centred)
    pixels = max_view_similarity([_thumbnails(drawings)])
    rows = []
    for within in (False, True):
        for way, shot in TASKS:
            trials = draw_trials(
                listed,
                command.trials,
                way=way,
                shot=shot,
                within_alphabet=within,
                seed=command.seed,
            )
            name = f"{way}way_{shot}shot"
            row = result_row(name, trials, classify(trials, ours), classify(trials, pixels))
            row["baseline_name"] = "cosine of pixels"
            place = "one alphabet" if within else "all 659 evaluation characters"
            row["protocol"] = f"{way} characters of {place}, {shot} drawings each"
            if within:
                row["name"] += "_within_alphabet"
            else:
                row["headline"] = True
            rows.append(row)
    return rows


def _names(trials: Sequence[Trial]) -> list[str]:
    shown = (name for t in trials for name in (t.test, *(n for c in t.candidates for n in c)))
    return list(dict.fromkeys(shown))


def _embedded(
    command: MatchOmniglot,
    networks: Sequence[Whitened],
    drawings: dict[str, np.ndarray],
) -> list[dict[str, np.ndarray]]:
    pixels = list(drawings.values())
    return [
        dict(
            zip(
                drawings,
                embed_drawings(network, pixels, command.views, command.seed) @ matrix,
                strict=True,
            )
        )
        for network, matrix in networks
    ]


def _whitening(command: MatchOmniglot, network: EmbeddingNetwork) -> np.ndarray:
    """Whiten by what was trained on: the background set, a part of its characters."""
    if command.whitened is None:
        return np.eye(network.dim)
    archive = command.data / BACKGROUND
    listed = alphabets(archive)
    characters = [names for found in listed.values() for names in found.values()][::_EVERY]
    names = [(number, name) for number, each in enumerate(characters) for name in each]
    drawings = [read_strokes(archive, name) for _, name in names]
    vectors = embed_drawings(network, drawings, 1, command.seed)[:, 0]
    return within_class_whitening(vectors, [number for number, _ in names], command.whitened)


def _thumbnails(drawings: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Small grey pictures as vectors, one view each."""
    found = {}
    for name, ink in drawings.items():
        frame = Letterbox(*SIZE, _THUMBNAIL)
        small = frame.fit_image(torch.from_numpy(ink.astype(np.float32))[None]).flatten().numpy()
        found[name] = small[None]
    return found


def _only_background(folder: Path) -> dict[str, Any]:
    """Read what a network was trained on, and make sure that it saw no evaluation character.

    Raises:
        DataError: it did, or it was trained on something else.
    """
    remembered = read_split(folder)
    if not str(remembered["data"]).endswith(BACKGROUND):
        raise DataError(
            f"{folder / SPLIT}: the network was trained on {remembered['data']}; for these scores "
            "it may be trained on images_background.zip alone"
        )
    return remembered


def _network(each: tuple[EmbeddingNetwork, dict[str, Any]]) -> dict[str, Any]:
    network, remembered = each
    return {
        "fingerprint": network.fingerprint(),
        "weights": sum(p.numel() for p in network.parameters()),
        "training": remembered["episodes"],
        "trained_on": len(remembered["base_classes"]),
        "validated_on": len(remembered.get("validation", ())),
    }


def _about(command: MatchOmniglot, networks: Sequence[EmbeddingNetwork]) -> str:
    several = f"{len(networks)} networks" if len(networks) > 1 else "One network"
    return (
        f"{several} trained on the 964 characters of the background set alone, {command.views} "
        "views of every drawing; percent of right answers. The runs' interval is over the 20 runs, "
        f"those of the {command.trials} trials a task are over trials. Every test drawing is "
        "answered by itself. People make 4.5 % of errors in the runs (Lake et al. 2015)."
    )
