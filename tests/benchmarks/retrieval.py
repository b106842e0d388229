"""Recall@1 and mAP@R of 10,000 embeddings, beside pytorch-metric-learning with faiss.

Both rank the same 10,000 x 128 embeddings of 8, 100 and 2,500 classes, each item without itself,
in one process, by turns; values are checked to agree within 1e-5. The figure is the median time of
a call. The library is given its best setting, k="max_bin_count" (its default takes gigabytes).

    python tests/benchmarks/retrieval.py [--quick]

Needs the extra ``bench`` and Linux (/proc).
"""

import argparse
import json
import os
import statistics
import sys
import warnings
from collections.abc import Callable
from functools import partial
from typing import Any

import faiss
import numpy as np
import torch
from pytorch_metric_learning.utils.accuracy_calculator import AccuracyCalculator
from shared import observe

from fewshot.siamese.retrieval.relevance import SameLabel
from fewshot.siamese.retrieval.retrieval_metrics import retrieve

COUNT, CHANNELS, CLASSES = 10_000, 128, (8, 100, 2500)


def draw(classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Embeddings of unit length around a centre a class, and their labels."""
    generator = np.random.default_rng(0)
    labels = generator.integers(0, classes, COUNT)
    centres = generator.normal(size=(classes, CHANNELS))
    places = 0.5 * centres[labels] + generator.normal(size=(COUNT, CHANNELS))
    return (places / np.linalg.norm(places, axis=1, keepdims=True)).astype(np.float32), labels


def ours(places: np.ndarray, labels: np.ndarray) -> tuple[float, float]:
    found = retrieve(places, SameLabel(labels, labels), at=(1,), distance="euclidean")
    return found.mean("recall@1"), found.mean("map@r")


def theirs(places: np.ndarray, labels: np.ndarray) -> tuple[float, float]:
    calculator = AccuracyCalculator(
        include=("precision_at_1", "mean_average_precision_at_r"),
        k="max_bin_count",
        device=torch.device("cpu"),
    )
    found = calculator.get_accuracy(torch.from_numpy(places), torch.from_numpy(labels))
    return found["precision_at_1"], found["mean_average_precision_at_r"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="fewer rounds: within 50 seconds")
    quick = parser.parse_args().quick
    threads = int(os.environ.get("OMP_NUM_THREADS", 2))
    torch.set_num_threads(threads)
    faiss.omp_set_num_threads(threads)
    warnings.simplefilter("ignore")
    kinds: dict[str, Callable[..., Any]] = {"ours": ours, "peer": theirs}
    for classes in CLASSES:
        places, labels = draw(classes)
        rounds = 7 if not quick else 1 if classes == min(CLASSES) else 3
        seen: dict[str, list[Any]] = {name: [] for name in kinds}
        for _ in range(rounds):
            for name, kind in kinds.items():
                seen[name].append(observe(partial(kind, places, labels)))
        np.testing.assert_allclose(seen["ours"][0].result, seen["peer"][0].result, atol=1e-5)
        value = {
            name: statistics.median(s.milliseconds for s in each) for name, each in seen.items()
        }
        peak = {name: statistics.median(s.peak_mib for s in each) for name, each in seen.items()}
        line = {
            "name": f"recall@1 and mAP@R, {COUNT} x {CHANNELS}, {classes} classes",
            "unit": "ms",
            "ours": round(value["ours"], 1),
            "peer": "pytorch-metric-learning, faiss",
            "peer_value": round(value["peer"], 1),
            "ratio": round(value["peer"] / value["ours"], 2),
            "peak_mib_ours": round(peak["ours"], 1),
            "peak_mib_peer": round(peak["peer"], 1),
        }
        sys.stdout.write(json.dumps(line) + "\n")


if __name__ == "__main__":
    main()
