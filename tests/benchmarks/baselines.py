"""What a query costs with each classical baseline, beside the library calls it stands on.

Ours: `segment` after fitting, from an 8-bit picture to labels and probabilities. Peer: the same
calls of the library alone, in the same settings and on the same fitted models: features by
`scipy.ndimage`, likelihoods by scikit-learn, then scikit-image, PyMaxflow or SimpleITK. Both run in
this process, in turns; a figure is the median of processor time, which other work on the machine
changes little. Checked: that both find the disc (Dice 0.8).

    python tests/benchmarks/baselines.py [--quick]

Needs Linux (/proc).
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from shared import observe
from shared.baseline_peers import PEERS, scaled
from skimage.transform import resize

from fewshot import baselines
from fewshot.inference.inputs import image_planes

LEAST = 0.8  # Dice
ONE = {
    "local-threshold": {"blocks": (351,), "sigmas": (2.0,)},
    "multi-otsu": {"counts": (2,), "sigmas": (2.0,)},
    "k-means": {"clusters": (8,), "weights": (1.0,)},
    "gaussian-mixture": {"counts": (3,), "weights": (1.0,)},
    "watershed": {"sigmas": (1.0,), "certainties": (0.95,), "weights": (1.0,)},
    "edge-filling": {"sigmas": (2.0,), "quantiles": (0.96,), "closings": (4,)},
    "random-walker": {"betas": (100.0,), "certainties": (0.95,)},
    "felzenszwalb": {"scales": (60.0,), "weights": (1.0,)},
    "graph-cut": {"strengths": (4.0,), "weights": (1.0,)},
    "chan-vese": {"smoothings": (1,), "steps": (10,), "weights": (1.0,)},
    "geodesic-contour": {"balloons": (0,), "alphas": (100.0,), "weights": (1.0,)},
    "atlas": {"smoothings": (1.5,)},
    "atlas-staple": {"smoothings": (1.5,)},
    "region-growing": {"certainties": (0.95,), "tolerances": (2.5,)},
    "histogram-valleys": {"widths": (5.0,), "sigmas": (2.0,)},
    "grabcut": {"strengths": (4.0,), "rounds": (1,)},
    "shape-model": {"edges": (0.0,), "modes": (0,)},
}
"""One setting a method, so that fitting takes no time."""
SEVERAL = ("atlas-staple",)
"""Fitted to two annotated pictures, the others to one."""


def scene(seed: int, size: int) -> tuple[np.ndarray, np.ndarray]:
    """A grey picture of a bright disc on noise, at nearly the same place, and its mask."""
    generator = np.random.default_rng(seed)
    rows, columns = np.mgrid[:size, :size]
    row, column = size // 2 + generator.integers(-size // 32, size // 32, 2)
    mask = ((rows - row) ** 2 + (columns - column) ** 2 < (size // 5) ** 2).astype(np.uint8)
    picture = 90 + 70 * mask + generator.normal(0, 12, (size, size))
    return picture.clip(0, 255).astype(np.uint8), mask


def dice(found: np.ndarray, mask: np.ndarray) -> float:
    truth = resize(mask, found.shape, order=0, preserve_range=True) > 0
    return 2 * ((found > 0) & truth).sum() / ((found > 0).sum() + truth.sum())


def timed(run: Callable[[], np.ndarray]) -> tuple[np.ndarray, float]:
    """What a call returned, and its processor time in ms."""
    started = time.process_time()
    result = run()
    return result, 1e3 * (time.process_time() - started)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="within 50 seconds")
    repeats = 2 if parser.parse_args().quick else 7
    picture, mask = scene(0, 512)
    query, truth = scene(1, 512)
    other = scene(2, 512)
    for name, (library, side, call) in PEERS.items():
        several = name in SEVERAL
        images, masks = ([picture, other[0]], [mask, other[1]]) if several else (picture, mask)
        fitted = baselines.fit(name, images, masks, "disc", **ONE[name])
        learned, image = fitted.support.model, image_planes(query)
        learned = getattr(learned, "learned", learned)
        calls = {
            "ours": lambda fitted=fitted, image=image: fitted.segment(image).labels[0],
            "theirs": partial(lambda c, s, m: c(scaled(query, s), m), call, side, learned),
        }
        seen: dict[str, list[Any]] = {each: [] for each in calls}
        for _ in range(repeats):
            for each, run in calls.items():
                observed = observe(partial(timed, run))
                result, spent = observed.result
                seen[each].append(replace(observed, milliseconds=spent))
                if (reached := dice(result, truth)) < LEAST:
                    raise RuntimeError(f"{name}, {each}, reaches a Dice of {reached:.2f}")
        ours, theirs = (
            statistics.median(o.milliseconds for o in seen[each]) for each in ("ours", "theirs")
        )
        line = {
            "name": f"{name}, one query, 512 x 512",
            "unit": "ms of processor time",
            "ours": round(ours, 1),
            "peer": library,
            "peer_value": round(theirs, 1),
            "ratio": round(theirs / ours, 2),
            "peak_mib_ours": round(max(o.peak_mib for o in seen["ours"]), 1),
            "peak_mib_peer": round(max(o.peak_mib for o in seen["theirs"]), 1),
        }
        print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
