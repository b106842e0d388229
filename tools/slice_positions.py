"""Measure learned slice positions against proportional ones on volumes that were left out.

    python tools/slice_positions.py DATA [--folds 5] [--fold 0]

In every fold positions are learned from the other volumes, without annotation. Then, for every
ordered pair of volumes of the fold and every organ, the organ's first and last slice of the one is
looked for in the other: by learned position, and by proportional position. The figures are mean
absolute errors in slices; the correlation and the error against proportional position say how far
what was learned departs from its teacher. Prints one JSON object a line.
"""

import argparse
import itertools
import json
from pathlib import Path

import numpy as np

from episodes.measure import measure
from episodes.protocols import contract
from episodes.protocols.alpnet import fold_scans
from episodes.readers import read
from fewshot.counting import Truth
from fewshot.metrics.bootstrap import bootstrap_mean
from fewshot.segmenter import Segmenter
from fewshot.siamese.match_segment import Pooled
from fewshot.siamese.position import fit_best_positions, proportional

Volumes = dict[str, tuple[np.ndarray, np.ndarray]]
"""Pooled features [slice feature] and areas of the classes [slice class] of each subject."""


def describe(data: Path) -> Volumes:
    """Read volumes and pool the features of their slices."""
    catalog = measure(read(data))
    pooled = Pooled(Truth(catalog), Segmenter().eval())
    return {
        subject: (
            pooled(tuple(sample.key for sample in samples)),
            np.array([[(s.areas or {}).get(name, 0) for name in catalog.classes] for s in samples]),
        )
        for subject, samples in contract.volumes(catalog).items()
    }


def compare(volumes: Volumes, fold: int, folds: int) -> tuple[dict, list[tuple[str, float, float]]]:
    """Compare positions in one fold: a row for it, and the errors of every organ's end."""
    held, rest = fold_scans(list(volumes), fold, folds)
    model = fit_best_positions([volumes[name][0] for name in rest])
    learned = {name: model.volume(volumes[name][0]) for name in held}
    teacher = {name: proportional(len(volumes[name][0])) for name in held}
    ends: list[tuple[str, float, float]] = []
    for one, other in itertools.permutations(held, 2):
        for organ in range(volumes[one][1].shape[1]):
            shown = [np.flatnonzero(volumes[name][1][:, organ]) for name in (one, other)]
            for end in (0, -1) if all(map(len, shown)) else ():
                place, true = shown[0][end], shown[1][end]
                errors = [
                    float(abs(np.argmin(np.abs(places[other] - places[one][place])) - true))
                    for places in (learned, teacher)
                ]
                ends.append((other, *errors))
    depth = np.concatenate([np.full(len(volumes[name][0]), len(volumes[name][0])) for name in held])
    found, taught = (
        np.concatenate([places[name] for name in held]) for places in (learned, teacher)
    )
    row = {
        "fold": fold,
        "held out": held,
        "strength": model.strength,
        "correlation with proportional": round(float(np.corrcoef(found, taught)[0, 1]), 4),
        "mean error in slices against proportional": round(
            float((np.abs(found - taught) * depth).mean()), 2
        ),
    }
    return row, ends


def main() -> None:
    """Print a row a fold and the errors of all folds together."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--fold", type=int, help="by default all of them")
    arguments = parser.parse_args()
    report(describe(arguments.data), arguments.folds, arguments.fold)


def report(volumes: Volumes, folds: int, fold: int | None) -> None:
    """Print what `compare` finds."""
    every: list[tuple[str, float, float]] = []
    for number in range(folds) if fold is None else [fold]:
        row, ends = compare(volumes, number, folds)
        row["organ ends, learned"] = round(float(np.mean([e[1] for e in ends])), 2)
        row["organ ends, proportional"] = round(float(np.mean([e[2] for e in ends])), 2)
        print(json.dumps(row))
        every += ends
    subjects = [each[0] for each in every]
    for column, name in ((1, "learned"), (2, "proportional")):
        found = bootstrap_mean([each[column] for each in every], subjects)
        print(json.dumps({"name": f"organ ends, {name}, slices", **found._asdict()}))


if __name__ == "__main__":
    main()
