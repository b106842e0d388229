"""Score a segmenter and the copy-mask baseline on the same episodes."""

from collections import defaultdict
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from episodes.io.pixels import IGNORE
from episodes.sampling.dataloader import BatchLoader
from episodes.sampling.episode import Plan
from episodes.sampling.sampler import EpisodeSampler, hash_plans
from fewshot.baselines.copy_mask import copy_mask
from fewshot.evaluation.calibration import NEAR, Reliability
from fewshot.evaluation.query_scores import QueryScores
from fewshot.metrics.bootstrap import Interval, bootstrap_mean
from fewshot.metrics.overlap import confusion_matrix, dice
from fewshot.metrics.tables import cell
from fewshot.models.network import FewShotNetwork

METHODS = ("model", "copy_mask")
FILE_KEYS = {"tp": "found", "fn": "missed", "fp": "wrong"}
"""Keys of saved results, which older files have too."""


@dataclass(frozen=True)
class Case:
    """Confusion counts of one class in one query, in pixels."""

    episode: int
    query: str
    subject: str
    class_name: str
    method: str
    tp: int
    fn: int
    fp: int


@dataclass(frozen=True)
class Evaluation:
    """Scores of a segmenter and of copy-mask on one list of episodes.

    The Dice of a subject and class counts the pixels of all its queries together, as the
    published protocols do for a scan and an organ. A subject's Dice is the mean over its classes,
    the score the mean over subjects, and its interval comes from drawing subjects again.

    Attributes:
        cases: one row a query, class and method.
        plans: the episodes.
        reliability: of the model's probabilities.
    """

    cases: tuple[Case, ...]
    plans: tuple[Plan, ...]
    reliability: Reliability = field(default_factory=Reliability)

    @property
    def episode_hash(self) -> str:
        """Hash of the episode list."""
        return hash_plans(self.plans)

    def subject_dice(self, method: str, class_name: str | None = None) -> dict[str, float]:
        """Dice of each subject, over all classes or of one."""
        counts: dict[tuple[str, str], np.ndarray] = defaultdict(lambda: np.zeros(3, np.int64))
        for case in self.cases:
            if case.method == method and class_name in (None, case.class_name):
                counts[case.subject, case.class_name] += (case.tp, case.fn, case.fp)
        by_subject: dict[str, list[float]] = defaultdict(list)
        for (subject, _), (tp, fn, fp) in counts.items():
            table = np.array([[0, fp], [fn, tp]])
            by_subject[subject].append(float(dice(table)[1]))
        # A class that a subject neither shows nor was given has no score and is left out.
        defined = {s: [v for v in values if not np.isnan(v)] for s, values in by_subject.items()}
        return {s: float(np.mean(values)) for s, values in sorted(defined.items()) if values}

    def interval(self, method: str, class_name: str | None = None) -> Interval:
        """Mean Dice over subjects with its 95 % bootstrap interval."""
        scores = self.subject_dice(method, class_name)
        return bootstrap_mean(list(scores.values()), list(scores))

    def difference(self) -> Interval:
        """Mean of the paired differences, model minus copy-mask, over subjects."""
        model, copied = (self.subject_dice(method) for method in METHODS)
        return bootstrap_mean([model[s] - copied[s] for s in model], list(model))

    def table(self) -> list[dict]:
        """One row a class, and one over all, with both methods' means and intervals."""
        names = sorted({case.class_name for case in self.cases})
        rows: list[dict] = []
        for name in [*names, None]:
            row: dict = {"class": name or "all"}
            for method in METHODS:
                row[method] = as_json(self.interval(method, name))
            rows.append(row)
        return rows

    def content(self) -> dict:
        """Everything, ready for JSON."""
        return {
            "episodes": len(self.plans),
            "episode_hash": self.episode_hash,
            "table": self.table(),
            "difference": as_json(self.difference()),
            "calibration_error": as_json(self.reliability.error()),
            "calibration_error_near": as_json(self.reliability.error_near()),
            "cases": [_row(case) for case in self.cases],
        }

    def text(self) -> str:
        """The table for a terminal."""
        subjects = len({case.subject for case in self.cases})
        lines = [f"{'Dice (0 to 100)':24}{'model':>22}{'copy-mask':>22}"]
        lines += [
            f"{row['class'][:23]:24}" + "".join(f"{cell(row[method]):>22}" for method in METHODS)
            for row in self.table()
        ]
        lines.append(f"{'model - copy-mask':24}{cell(as_json(self.difference())):>22}")
        errors = {
            "calibration error": self.reliability.error(),
            f"  within {NEAR} pixels": self.reliability.error_near(),
        }
        lines += [f"{name:24}{cell(as_json(error)):>22}" for name, error in errors.items()]
        lines.append(
            f"mean over {subjects} subjects [95 % bootstrap interval over subjects], "
            f"{len(self.plans)} episodes"
        )
        return "\n".join(lines)


def evaluate(
    network: FewShotNetwork,
    sampler: EpisodeSampler,
    episodes: int,
    *,
    batch: int = 4,
    progress: bool = False,
    scores: QueryScores | None = None,
) -> Evaluation:
    """Segment the queries of the first `episodes` episodes with the model and with copy-mask.

    Args:
        network: the model.
        sampler: of a test catalog.
        episodes: how many.
        batch: episodes at once.
        progress: show a progress bar.
        scores: collects further scores of the same masks.
    """
    if episodes < 1:
        raise ValueError(f"episodes is {episodes}; expected at least 1")
    plans: list[Plan] = []
    cases: list[Case] = []
    reliability = Reliability()
    network.eval()
    bar = tqdm(total=episodes, desc="evaluating", unit="episode", disable=not progress)
    for loaded in BatchLoader(sampler, batch, stop=episodes):
        plans += loaded.plans
        chances = predict(network, loaded.support_images, loaded.support_masks, loaded.query_images)
        predicted = {
            "model": chances.argmax(dim=2).to(torch.uint8),
            "copy_mask": copy_mask(loaded.support_masks)[:, None].expand_as(loaded.query_labels),
        }
        for method, labels in predicted.items():
            for number, plan in enumerate(loaded.plans):
                cases += _cases(plan, method, labels[number], loaded.query_labels[number])
                if scores is not None:
                    shown = method.replace("_", "-")
                    scores.add_episode(shown, plan, labels[number], loaded.query_labels[number])
        for plan, shares, truth in zip(loaded.plans, chances, loaded.query_labels, strict=True):
            for query, subject in enumerate(plan.query_subjects):
                reliability.add(subject, shares[query].numpy(), truth[query].numpy())
        bar.update(len(loaded.plans))
    bar.close()
    return Evaluation(tuple(cases), tuple(plans), reliability)


def predict(
    network: FewShotNetwork, support_images: Tensor, support_masks: Tensor, query_images: Tensor
) -> Tensor:
    """Probabilities [batch query label height width] for a batch of episodes, calibrated."""
    with torch.inference_mode():
        logits = network(support_images, support_masks, query_images)
        return network.calibration(logits).softmax(dim=2).float().cpu()


def as_json(interval: Interval) -> dict:
    """An interval with NaN, which JSON lacks, as None."""
    values = {"mean": interval.mean, "low": interval.low, "high": interval.high}
    return {name: None if np.isnan(value) else value for name, value in values.items()} | {
        "subjects": interval.subjects
    }


def _row(case: Case) -> dict[str, Any]:
    """A case under the keys of result files."""
    return {FILE_KEYS.get(name, name): value for name, value in asdict(case).items()}


def _cases(plan: Plan, method: str, labels: Tensor, truth: Tensor) -> list[Case]:
    cases = []
    way = len(plan.classes)
    for number, (key, subject) in enumerate(zip(plan.query, plan.query_subjects, strict=True)):
        table = confusion_matrix(labels[number], truth[number], way + 1, IGNORE)
        for label, name in enumerate(plan.classes, start=1):
            tp = int(table[label, label])
            fn, fp = int(table[label].sum()) - tp, int(table[:, label].sum()) - tp
            cases.append(Case(plan.index, key, subject, name, method, tp, fn, fp))
    return cases
