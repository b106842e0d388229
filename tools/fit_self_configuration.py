"""Fit the constants of the self-configuring segmenter on development tasks.

python tools/fit_self_configuration.py ../shared/data/suite ../shared/data/chaos_t2 \
    --classes chaos_t2:1=liver chaos_t2:2=right_kidney chaos_t2:3=left_kidney chaos_t2:4=spleen \
    --tasks aerial_road chest_xray drive_vessels gbm_nuclei head_ct_bleed polyp rosette tile_break \
    chaos_t2/liver chaos_t2/left_kidney

Every candidate learns the annotated image of each draw and scores the queries; the priors, slopes
and bias of `configuration` then maximise the mean soft Dice, every task counting alike, and the
expected Dice of `expectation` is fitted to the Dice of that mixture. Prints both, and what they
reach with each task left out of the fit.
"""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from sklearn.linear_model import Ridge
from torch.nn import functional

from episodes.catalog.catalog import Catalog
from episodes.io.pixels import IGNORE
from episodes.protocols.few_images import FewImagesSettings, few_images
from fewshot.benchmark.suite.settings import Suite
from fewshot.benchmark.suite.tasks import read_tasks
from fewshot.evaluation.confusion_counts import GroundTruth
from fewshot.evaluation.few_image_scores import image_of, labels_of_classes
from fewshot.inference.self_configuration.candidates import CANDIDATES
from fewshot.inference.self_configuration.configuration import above_mean
from fewshot.inference.self_configuration.evidence import scores
from fewshot.inference.self_configuration.expectation import overlap_and_agreement
from fewshot.inference.self_configuration.views import Shot, View

PIXELS = 3000  # of each query that the fit sees
SIDE = 192  # of the grid of pixels on which queries are scored
STEPS, RATE = 120, 0.06
WEIGHT_DECAY, START = 0.02, -1.5  # of the priors, towards their start
SHARPNESS = 2.0  # of the soft Dice, in log odds


@dataclass(frozen=True)
class Draw:
    """One draw of a task.

    Attributes:
        task: its name.
        evidence: Dice above the candidates' mean on copies and on parts [candidate 2].
        queries: of each, log odds [candidate pixel] and truth [pixel].
        wholes: of each, log odds by candidate [way rows columns] and labels, on one grid.
    """

    task: str
    evidence: torch.Tensor
    queries: list[tuple[torch.Tensor, torch.Tensor]]
    wholes: list[tuple[dict[str, torch.Tensor], torch.Tensor]]


def draws_of(catalog: Catalog, settings: FewImagesSettings) -> list[Draw]:
    """Let every candidate learn and score the draws of a task."""
    truth, found = GroundTruth(catalog), []
    for case in few_images(catalog, settings).cases:
        plan, way = case.plan, len(case.plan.classes)
        pairs = [
            (image_of(truth, key), labels_of_classes(truth, key, plan.classes))
            for key in (*plan.support[0], *plan.query)
        ]
        shots = [Shot(View(image), torch.from_numpy(labels)) for image, labels in pairs]
        shots, queries = shots[: len(plan.support[0])], shots[len(plan.support[0]) :]
        fitted = {name: each.fit(shots, way) for name, each in CANDIDATES.items()}
        measured = [above_mean(part) for part in scores(CANDIDATES, fitted, shots, way)]
        evidence = torch.tensor([[part[name] for part in measured] for name in CANDIDATES])
        wholes = [whole_of(fitted, shot) for shot in queries]
        sampled = [one for whole in wholes for one in sample(whole, way)]
        found.append(Draw(catalog.name, evidence.float(), sampled, wholes))
    return found


def whole_of(fitted: dict, shot: Shot) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
    """Log odds of a query and its labels, at pixels of a grid that is not finer than `SIDE`."""
    pixels = shot.view.resized(shot.view.side).shape[1:]
    scale = min(1.0, SIDE / max(pixels))
    grid = [max(1, round(each * scale)) for each in pixels]
    odds = {}
    for name, each in fitted.items():
        found = each.log_odds(shot.view).float()[None]
        whole = functional.interpolate(found, size=pixels, mode="bilinear")
        odds[name] = functional.interpolate(whole, size=grid, mode="nearest-exact")[0]
    return odds, torch.from_numpy(shot.labels_at(grid))


def sample(
    whole: tuple[dict[str, torch.Tensor], torch.Tensor], way: int
) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Draw known pixels of each class that a query shows."""
    odds, labels = whole
    known = (labels != IGNORE).flatten().nonzero()[:, 0]
    chosen = known[torch.randperm(len(known), generator=torch.Generator().manual_seed(0))[:PIXELS]]
    return [
        (
            torch.stack([each[label - 1].flatten()[chosen] for each in odds.values()]),
            (labels.flatten()[chosen] == label).float(),
        )
        for label in range(1, way + 1)
        if bool((labels == label).any())
    ]


@dataclass(frozen=True)
class Constants:
    """Of `configuration`: priors [candidate], slopes (copies, parts), bias."""

    priors: torch.Tensor
    slopes: torch.Tensor
    bias: torch.Tensor

    def mixed(self, evidence: torch.Tensor, odds: torch.Tensor) -> torch.Tensor:
        """Mix log odds [candidate ...]."""
        return torch.tensordot(self.weights(evidence), odds, 1) + self.bias

    def weights(self, evidence: torch.Tensor) -> torch.Tensor:
        """Weights of the candidates."""
        return functional.softplus(self.priors + evidence @ self.slopes)


def fit(draws: Sequence[Draw]) -> Constants:
    """Maximise the mean soft Dice of the tasks."""
    priors = torch.full((len(CANDIDATES),), START, requires_grad=True)
    slopes, bias = torch.zeros(2, requires_grad=True), torch.zeros(1, requires_grad=True)
    optimiser = torch.optim.Adam([priors, slopes, bias], RATE)
    constants = Constants(priors, slopes, bias)
    for _ in range(STEPS):
        by_task: dict[str, list[torch.Tensor]] = {}
        for draw in draws:
            for odds, truth in draw.queries:
                chance = torch.sigmoid(SHARPNESS * constants.mixed(draw.evidence, odds))
                overlap = 2 * (chance * truth).sum() + 0.5
                value = overlap / (chance.sum() + truth.sum() + 0.5)
                by_task.setdefault(draw.task, []).append(value)
        reached = torch.stack([torch.stack(each).mean() for each in by_task.values()]).mean()
        loss = WEIGHT_DECAY * (priors - START).square().sum() - reached
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return Constants(priors.detach(), slopes.detach(), bias.detach())


def judged(constants: Constants, draws: Sequence[Draw]) -> list[tuple[float, float, float]]:
    """Of every query: the mixture's Dice, its overlap with itself, and the agreement."""
    found = []
    for draw in draws:
        weights = constants.weights(draw.evidence)
        named = dict(zip(CANDIDATES, weights.tolist(), strict=True))
        for odds, labels in draw.wholes:
            mixed = constants.mixed(draw.evidence, torch.stack(list(odds.values())))
            values = [
                dice_of(mixed[label - 1] > 0, labels, label)
                for label in range(1, len(mixed) + 1)
                if bool((labels == label).any())
            ]
            if values:
                found.append((float(np.mean(values)), *overlap_and_agreement(odds, mixed, named)))
    return found


def dice_of(mask: torch.Tensor, labels: torch.Tensor, label: int) -> float:
    """Dice of one class over known pixels."""
    known, inside = labels != IGNORE, labels == label
    return float(2 * (mask & inside).sum() / ((mask & known).sum() + inside.sum()).clamp(min=1))


def main() -> None:
    """Read the tasks, fit, leave each out, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", nargs="+", type=Path)
    for name in ("tasks", "classes", "subjects", "kinds"):
        parser.add_argument(f"--{name}", nargs="+", default=[])
    parser.add_argument("--queries", type=int, default=6)
    options = parser.parse_args()
    suite = Suite(
        data=tuple(options.data),
        **{name: tuple(getattr(options, name)) for name in ("classes", "subjects", "kinds")},
    )
    settings = FewImagesSettings((1,), 2, options.queries, seed=1)  # not the draws of the suite
    draws: list[Draw] = []
    for task in read_tasks(suite):
        if isinstance(task, Catalog) and task.name in options.tasks:
            with torch.inference_mode():
                draws += draws_of(task, settings)
            print(f"{task.name}: {len(draws)} draws", flush=True)
    draws = [torch_copy(draw) for draw in draws]
    report(draws)


def torch_copy(draw: Draw) -> Draw:
    """Tensors of inference mode take no part in a gradient; their copies do."""
    queries = [(odds.clone(), truth.clone()) for odds, truth in draw.queries]
    return Draw(draw.task, draw.evidence.clone(), queries, draw.wholes)


def report(draws: Sequence[Draw]) -> None:
    """Print what each task reaches left out of the fit, and the constants of all."""
    tasks = sorted({draw.task for draw in draws})
    left_out: dict[str, list[tuple[float, float, float]]] = {}
    for task in tasks:
        constants = fit([draw for draw in draws if draw.task != task])
        left_out[task] = judged(constants, [draw for draw in draws if draw.task == task])
        single = {name: 100 * alone(draws, task, name) for name in CANDIDATES}
        reached = 100 * np.mean([each[0] for each in left_out[task]])
        print(
            f"{task}: {reached:.1f} left out; "
            + ", ".join(f"{n} {v:.1f}" for n, v in single.items())
        )
    means = [np.mean([query[0] for query in each]) for each in left_out.values()]
    print(f"mean left out {100 * np.mean(means):.1f}")
    errors = []
    for task in tasks:
        seen = np.array([row for other in tasks if other != task for row in left_out[other]])
        model = Ridge(0.05).fit(seen[:, 1:], seen[:, 0])
        rows = np.array(left_out[task])
        errors.append(np.abs(np.clip(model.predict(rows[:, 1:]), 0, 1) - rows[:, 0]).mean())
    every = np.array([row for rows in left_out.values() for row in rows])
    model = Ridge(0.05).fit(every[:, 1:], every[:, 0])
    constants = fit(draws)
    print({n: round(v, 2) for n, v in zip(CANDIDATES, constants.priors.tolist(), strict=True)})
    print("slopes", constants.slopes.tolist(), "bias", constants.bias.item())
    print("expected Dice: constant, overlap, agreement", model.intercept_, model.coef_.tolist())
    print(f"it errs by {100 * np.mean(errors):.1f} points, each task left out")


def alone(draws: Sequence[Draw], task: str, name: str) -> float:
    """Mean Dice of one candidate on a task."""
    values = [
        dice_of(odds[name][label - 1] > 0, labels, label)
        for draw in draws
        if draw.task == task
        for odds, labels in draw.wholes
        for label in range(1, len(odds[name]) + 1)
        if bool((labels == label).any())
    ]
    return float(np.mean(values))


if __name__ == "__main__":
    main()
