r"""Train prototypes on Omniglot's background alphabets, score them on its evaluation alphabets.

python tools/omniglot_prototypes.py ../shared/data/omniglot \
    --result docs/results/omniglot_prototypes.json
"""

import shlex
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import tyro

from episodes import (
    Catalog,
    EpisodeSampler,
    EpisodeSettings,
    Loader,
    RotatedClasses,
    read_catalog,
    with_image_classes,
)
from fewshot import (
    EmbeddingNetwork,
    EmbeddingSettings,
    SmallSettings,
    TrainSettings,
    classification_task,
    embed_pixels,
    evaluate_classification,
    train,
)
from fewshot.evaluation.results import add_part, dated

SIZE = 32
TASKS = ((5, 1, 600), (5, 5, 300), (20, 1, 300))  # way, shot, episodes
_ABOUT = (
    "Prototypical networks (Snell et al. 2017) on the split of Lake et al.: 964 characters of 30 "
    "alphabets, turned by quarters, to train; 659 characters of the 20 other alphabets to test, "
    "not turned. The classes of an episode are drawn among all characters; 5 queries a class. The "
    "interval of the headline is over episodes, as published ones are; that over alphabets stands "
    "in the table. Published 5-way 1-shot figures (98.8) are on the split of Vinyals et al., which "
    "draws the characters for training at random from all alphabets, and after far longer training."
)


@dataclass(frozen=True)
class Command:
    """Train prototypes on the background alphabets and score them on the evaluation alphabets."""

    data: Annotated[Path, tyro.conf.Positional]
    """Folder of images_background.zip and images_evaluation.zip."""
    result: Path
    """JSON file for the scores; a table is written beside it."""
    steps: int = 1500
    """Steps of training: one 20-way 1-shot episode with 2 queries a class each."""
    seed: int = 0
    """Of the weights and the episodes."""


def make_sampler(
    catalog: Catalog, way: int, shot: int, queries: int, loader: Loader, seed: int
) -> EpisodeSampler:
    """Draw episodes of whole drawings; drawings of a character are by different people."""
    settings = EpisodeSettings(way, shot, queries * way, disjoint_subjects=False)
    return EpisodeSampler(catalog, settings, loader=loader, seed=seed)


def make_row(
    network: EmbeddingNetwork, test: Catalog, task: tuple[int, int, int]
) -> dict[str, Any]:
    """Score one task beside the nearest mean of pixels."""
    way, shot, episodes = task
    sampler = make_sampler(test, way, shot, 5, Loader(SIZE), seed=1)
    found = evaluate_classification(network.embed, sampler, episodes)
    by_alphabet = found.accuracy("classes", lambda name: name.split("/")[0])
    over = found.accuracy()
    return {
        "name": f"{way}way_{shot}shot",
        "value": 100 * over.mean,
        "ci95": [100 * over.low, 100 * over.high],
        "baseline": 100 * evaluate_classification(embed_pixels, sampler, episodes).accuracy().mean,
        "unit": "% right; baseline: nearest mean of pixels",
        "alphabets": [100 * bound for bound in by_alphabet[:3]],
        "episodes": episodes,
        "episode_hash": found.episode_hash,
    }


def main(command: Command) -> None:
    """Train, score and write."""
    start = time.time()
    background, test = (
        with_image_classes(read_catalog(command.data / f"images_{part}.zip"))
        for part in ("background", "evaluation")
    )
    small = SmallSettings(widths=(64, 64, 64), blocks=(1, 1))
    network = EmbeddingNetwork(
        EmbeddingSettings(small, "grid", dim=0, normalise=False, size=SIZE, seed=command.seed)
    )
    source = make_sampler(background, 20, 1, 2, Loader(SIZE), command.seed)
    task = classification_task(network, RotatedClasses(source, command.seed))
    settings = TrainSettings(steps=command.steps, minutes=0, batch=1, learning_rate=2e-3)
    with tempfile.TemporaryDirectory() as folder:
        trained = train(task, settings, Path(folder))
    rows = [make_row(network, test, task) for task in TASKS]
    shown = [
        [
            r["name"],
            *(
                f"{v:.1f} [{a:.1f}, {b:.1f}]"
                for v, a, b in ((r["value"], *r["ci95"]), r["alphabets"])
            ),
            r["episodes"],
            r["episode_hash"][:16],
        ]
        for r in rows
    ]
    columns = ["task", "right [over episodes]", "right [over alphabets]", "episodes", "list"]
    part = {
        "about": _ABOUT,
        "headline": [
            {k: r[k] for k in ("name", "value", "ci95", "baseline", "unit")} for r in rows
        ],
        "tables": [{"title": "Tasks", "columns": columns, "rows": shown}],
        "tasks": rows,
        "training": {
            "steps": trained.steps,
            "seconds": trained.seconds,
            "loss": trained.loss,
            "seed": command.seed,
            "fingerprint": network.fingerprint(),
        },
        "commands": [shlex.join(["python", "tools/omniglot_prototypes.py", *sys.argv[1:]])],
        "seconds": time.time() - start,
        **dated(),
    }
    add_part(command.result, "prototypes", part)


if __name__ == "__main__":
    main(tyro.cli(Command))
