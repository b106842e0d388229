"""Measure learned slice positions against proportional ones on volumes that were left out.

    python tools/slice_positions.py DATA [--classes 1=liver ...] [--folds 5] [--fold 0]

In every fold positions are learned from the other volumes, without annotation. Then, for every
ordered pair of volumes of the fold and every organ, the organ's first and last slice of the one is
looked for in the other: by learned position, by proportional position, and by laying the volumes
over each other (features scaled by the training volumes, or by the two alone). The figures are mean
absolute errors in slices; the correlation and the error against proportional position say how far
what was learned departs from its teacher. Prints one JSON object a line.
"""

import argparse
import itertools
import json
from pathlib import Path

import numpy as np

from episodes.catalog.class_areas import compute_class_areas
from episodes.catalog.class_names import parse_names
from episodes.protocols import base
from episodes.protocols.alpnet import fold_scans
from episodes.readers import read_catalog
from fewshot.evaluation.confusion_counts import GroundTruth
from fewshot.evaluation.retrieved_support_predictor import Pooled
from fewshot.inference.segmenter import Segmenter
from fewshot.inference.volumes.slice_alignment import FeatureStandardizer, align_slices
from fewshot.inference.volumes.slice_position import (
    PositionModel,
    fit_best_positions,
    relative_slice_position,
)
from fewshot.metrics.bootstrap import bootstrap_mean

KINDS = ("learned", "proportional", "aligned", "aligned, untrained")
Volumes = dict[str, tuple[np.ndarray, np.ndarray]]
"""Pooled features [slice feature] and areas of the classes [slice class] of each subject."""


def describe(data: Path, classes: tuple[str, ...]) -> Volumes:
    """Read volumes and pool the features of their slices."""
    catalog = compute_class_areas(read_catalog(data, label_map=parse_names(classes)))
    pooled = Pooled(GroundTruth(catalog), Segmenter().network)
    return {
        subject: (
            pooled(tuple(sample.key for sample in samples)),
            np.array([[(s.areas or {}).get(name, 0) for name in catalog.classes] for s in samples]),
        )
        for subject, samples in base.volumes(catalog).items()
    }


def compare(volumes: Volumes, fold: int, folds: int) -> tuple[dict, list[dict]]:
    """Compare positions in one fold: a row for it, and the errors of every organ's end."""
    held, rest = fold_scans(list(volumes), fold, folds)
    model = fit_best_positions([volumes[name][0] for name in rest])
    scale = FeatureStandardizer.of([volumes[name][0] for name in rest])
    learned = {name: model.volume(volumes[name][0]) for name in held}
    teacher = {name: relative_slice_position(len(volumes[name][0])) for name in held}
    ends = []
    for one, other in itertools.permutations(held, 2):
        first, second = volumes[one][0], volumes[other][0]
        slices = np.arange(len(second))
        tables = {
            "learned": np.abs(np.subtract.outer(learned[one], learned[other])),
            "proportional": np.abs(np.subtract.outer(teacher[one], teacher[other])),
            "aligned": np.abs(np.subtract.outer(align_slices(first, second, scale), slices)),
            "aligned, untrained": np.abs(
                np.subtract.outer(
                    align_slices(first, second, FeatureStandardizer.of([first, second])), slices
                )
            ),
        }
        for organ in range(volumes[one][1].shape[1]):
            shown = [np.flatnonzero(volumes[name][1][:, organ]) for name in (one, other)]
            for end in (0, -1) if all(map(len, shown)) else ():
                place, true = shown[0][end], shown[1][end]
                errors = {
                    kind: float(abs(np.argmin(table[place]) - true))
                    for kind, table in tables.items()
                }
                ends.append({"subject": other, **errors})
    return describe_fold(fold, held, model, learned, teacher), ends


def describe_fold(
    fold: int,
    held: list[str],
    model: PositionModel,
    learned: dict[str, np.ndarray],
    teacher: dict[str, np.ndarray],
) -> dict:
    """How far what was learned departs from its teacher, on volumes that were left out."""
    found, taught = (np.concatenate([p[name] for name in held]) for p in (learned, teacher))
    depths = np.concatenate([np.full(len(teacher[name]), len(teacher[name])) for name in held])
    return {
        "fold": fold,
        "held out": held,
        "strength": model.strength,
        "correlation with proportional": round(float(np.corrcoef(found, taught)[0, 1]), 4),
        "mean error in slices against proportional": round(
            float((np.abs(found - taught) * depths).mean()), 2
        ),
    }


def main() -> None:
    """Print a row a fold and the errors of all folds together."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--classes", nargs="*", default=[], help="names of mask values")
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--fold", type=int, help="by default all of them")
    arguments = parser.parse_args()
    volumes = describe(arguments.data, tuple(arguments.classes))
    report(volumes, arguments.folds, arguments.fold)


def report(volumes: Volumes, folds: int, fold: int | None) -> None:
    """Print what `compare` finds."""
    every: list[dict] = []
    for number in range(folds) if fold is None else [fold]:
        row, ends = compare(volumes, number, folds)
        every += ends
        for kind in KINDS:
            row[f"organ ends, {kind}"] = round(float(np.mean([e[kind] for e in ends])), 2)
        print(json.dumps(row))
    subjects = [each["subject"] for each in every]
    for kind in KINDS:
        found = bootstrap_mean([each[kind] for each in every], subjects)
        print(json.dumps({"name": f"organ ends, {kind}, slices", **found._asdict()}))


if __name__ == "__main__":
    main()
