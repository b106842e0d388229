"""What a query costs after learning, beside scikit-image's trainable segmentation, in one process.

Ours: `Segmenter()` as `fewshot segment` has it, and one method fixed by hand. Peer: the features of
`skimage.feature.multiscale_basic_features` and scikit-learn's random forest, as scikit-image's
example of trainable segmentation has them (50 trees of depth 10). All learn the same annotated
pictures and segment the same query, in turns; a figure is the median. Memory is how far resident
memory rises during a query. Checked: that every one finds the discs of the query (Dice 0.8).

    python tests/benchmarks/segmenter.py [--quick]

Needs Linux (/proc).
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from shared import observe
from skimage.feature import multiscale_basic_features
from skimage.future import TrainableSegmenter
from sklearn.ensemble import RandomForestClassifier

from fewshot.inference.inputs import image_planes
from fewshot.inference.predictors.build import build_predictor
from fewshot.inference.segmenter import Segmenter
from fewshot.inference.support_set import read_support_set

LEAST = 0.8  # Dice


def scene(seed: int, size: int) -> tuple[np.ndarray, np.ndarray]:
    """A grey picture of bright discs on noise, and their mask."""
    generator = np.random.default_rng(seed)
    rows, columns = np.mgrid[:size, :size]
    mask = np.zeros((size, size), np.uint8)
    for row, column in generator.integers(size // 8, size - size // 8, (6, 2)):
        mask |= (rows - row) ** 2 + (columns - column) ** 2 < (size // 10) ** 2
    picture = 90 + 70 * mask + generator.normal(0, 25, (size, size))
    return picture.clip(0, 255).astype(np.uint8), mask


def peer(picture: np.ndarray, trained: TrainableSegmenter) -> np.ndarray:
    return trained.predict(picture) - 1


def train_peer(pictures: list[np.ndarray], masks: list[np.ndarray]) -> TrainableSegmenter:
    # One picture wide: the peer learns one array, so that supports are put side by side.
    features = partial(multiscale_basic_features, sigma_min=1, sigma_max=8)
    forest = RandomForestClassifier(50, max_depth=10, max_samples=0.05, n_jobs=-1, random_state=0)
    trained = TrainableSegmenter(forest, features)
    trained.fit(np.concatenate(pictures, 1), np.concatenate(masks, 1) + 1)
    return trained


def by_hand(method: str) -> Any:
    return build_predictor(None, "self-configuring", {"method": (method,)})


def dice(found: np.ndarray, mask: np.ndarray) -> float:
    return 2 * (found & mask).sum() / (found.sum() + mask.sum())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="within 90 seconds")
    quick = parser.parse_args().quick
    for size, supports in ((512, 1),) if quick else ((256, 1), (512, 1), (512, 16), (1024, 1)):
        report(size, supports, 3 if quick else 7)


def report(size: int, supports: int, repeats: int) -> None:
    pictures, masks = zip(*(scene(seed, size) for seed in range(supports)), strict=True)
    query, truth = scene(1000, size)
    calls: dict[str, Callable[[], np.ndarray]] = {}
    learn = {}
    segmenter = Segmenter()
    start = time.perf_counter()
    support = segmenter.learn(list(pictures), list(masks), "disc")
    learn["chosen"] = time.perf_counter() - start
    calls["chosen"] = lambda: segmenter.segment(query, support).mask
    one = by_hand("neighbours-256")
    start = time.perf_counter()
    few = one.learn(read_support_set(list(pictures), list(masks), "disc"))
    learn["neighbours-256"] = time.perf_counter() - start
    calls["neighbours-256"] = lambda: one.segment(image_planes(query), few).mask
    start = time.perf_counter()
    trained = train_peer(list(pictures), list(masks))
    learn["scikit-image"] = time.perf_counter() - start
    calls["scikit-image"] = partial(peer, query, trained)
    seen: dict[str, list[Any]] = {name: [] for name in calls}
    for _ in range(repeats):
        for name, call in calls.items():
            seen[name].append(observe(call))
            if (reached := dice(seen[name][-1].result.astype(np.uint8), truth)) < LEAST:
                raise RuntimeError(f"{name} reaches a Dice of {reached:.2f} at {size}")
    medians = {n: statistics.median(o.milliseconds for o in each) for n, each in seen.items()}
    for name in ("chosen", "neighbours-256"):
        line = {
            "name": f"one query, {size} x {size}, {supports} supports, {name}",
            "unit": "ms",
            "ours": round(medians[name], 1),
            "peer": "scikit-image's trainable segmentation",
            "peer_value": round(medians["scikit-image"], 1),
            "ratio": round(medians["scikit-image"] / medians[name], 2),
            "learn_s_ours": round(learn[name], 2),
            "learn_s_peer": round(learn["scikit-image"], 2),
            "peak_mib_ours": round(max(each.peak_mib for each in seen[name]), 1),
            "peak_mib_peer": round(max(each.peak_mib for each in seen["scikit-image"]), 1),
        }
        print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
