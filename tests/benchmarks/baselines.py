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
from scipy import ndimage, optimize, signal
from shared import observe
from skimage import feature, filters, morphology, segmentation
from skimage.transform import rescale, resize, rotate
from sklearn import mixture

from fewshot import baselines
from fewshot.baselines.image_registration import as_image, register_affine, register_demons
from fewshot.baselines.shapes import _EVALUATIONS as EVALUATIONS
from fewshot.baselines.shapes import _RADIUS as RADIUS
from fewshot.inference.inputs import image_planes
from fewshot.inference.postprocessing.graph_cut import graph_cut

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


def scaled(picture: np.ndarray, side: int) -> np.ndarray:
    low, high = np.percentile(picture, (0.5, 99.5))
    image = ((picture - low) / (high - low)).clip(0, 1).astype(np.float32)
    small = min(side, len(picture))
    return image if small == len(picture) else resize(image, (small, small), anti_aliasing=True)


def features(image: np.ndarray) -> np.ndarray:
    near, far = (ndimage.gaussian_filter(image, sigma) for sigma in (1, 4))
    square = ndimage.gaussian_filter(image**2, 4)
    return np.stack([near, far, np.sqrt(np.maximum(square - far**2, 0))], axis=2)


def likelihoods(image: np.ndarray, learned: Any) -> np.ndarray:
    flat = features(image).reshape(-1, 3)
    logs = [m.score_samples(flat) for m in learned.mixtures] + np.log(learned.shares)[:, None]
    return logs.reshape(-1, *image.shape)


def posterior(image: np.ndarray, learned: Any) -> np.ndarray:
    logs = likelihoods(image, learned)
    return 1 / (1 + np.exp((logs[0] - logs[1]).clip(-60, 60)))


def markers(image: np.ndarray, learned: Any) -> np.ndarray:
    probability = posterior(image, learned)
    return np.select([probability >= 0.95, probability <= 0.05], [2, 1], 0)


def of_k_means(image: np.ndarray, learned: Any) -> np.ndarray:
    numbers = learned.models[8].predict(features(image).reshape(-1, 3) / learned.scale)
    return learned.shares[8].argmax(1)[numbers].reshape(image.shape)


def of_edges(image: np.ndarray, learned: Any) -> np.ndarray:
    edges = feature.canny(image, 2, 0.94, 0.96, use_quantiles=True, mode="nearest")
    disc = morphology.disk(4)
    closed = ndimage.binary_closing(np.pad(edges, 5), disc)
    filled = ndimage.binary_opening(ndimage.binary_fill_holes(closed), disc)[5:-5, 5:-5]
    regions, count = ndimage.label(filled)
    numbers = np.arange(1, count + 1)
    means = [ndimage.mean(each, regions, numbers) for each in likelihoods(image, learned)]
    return np.concatenate([[0], np.argmax(means, 0)])[regions]


def of_felzenszwalb(image: np.ndarray, learned: Any) -> np.ndarray:
    regions = segmentation.felzenszwalb(image, scale=60, sigma=0.8, min_size=20)
    numbers = np.arange(regions.max() + 1)
    means = [ndimage.mean(each, regions, numbers) for each in likelihoods(image, learned)]
    return np.argmax(means, 0)[regions]


def of_chan_vese(image: np.ndarray, learned: Any) -> np.ndarray:
    found = posterior(image, learned).clip(1e-6, 1 - 1e-6)
    odds = np.log(found / (1 - found)).clip(-4, 4)
    return segmentation.morphological_chan_vese(odds, 10, init_level_set=found > 0.5, smoothing=1)


def of_geodesic(image: np.ndarray, learned: Any) -> np.ndarray:
    start = ndimage.gaussian_filter(posterior(image, learned), 2) > 0.5
    edges = segmentation.inverse_gaussian_gradient(image.astype(np.float64), 100, 2)
    return segmentation.morphological_geodesic_active_contour(edges, 24, start)


def of_atlas(image: np.ndarray, learned: Any) -> np.ndarray:
    import SimpleITK as sitk

    atlas, fixed = learned.planes[0], as_image(image, (1, 1))
    affine = register_affine(fixed, atlas.image)
    transform = register_demons(fixed, atlas.image, affine, 1.5)
    labels = sitk.GetImageFromArray(atlas.labels)
    return sitk.GetArrayFromImage(sitk.Resample(labels, fixed, transform, sitk.sitkNearestNeighbor))


def of_staple(image: np.ndarray, learned: Any) -> np.ndarray:
    import SimpleITK as sitk

    votes = []
    for atlas in learned.planes:
        fixed = as_image(image, (1, 1))
        affine = register_affine(fixed, atlas.image)
        transform = register_demons(fixed, atlas.image, affine, 1.5)
        labels = sitk.GetImageFromArray(atlas.labels)
        votes.append(sitk.Resample(labels, fixed, transform, sitk.sitkNearestNeighbor))
    return sitk.GetArrayFromImage(sitk.STAPLE(votes, 1.0)) > 0.5


def of_flood(image: np.ndarray, learned: Any) -> np.ndarray:
    view = ndimage.gaussian_filter(image, 1.5)
    regions, count = ndimage.label(posterior(image, learned) >= 0.95)
    sizes = ndimage.sum_labels(regions > 0, regions, np.arange(1, count + 1))
    found = np.zeros(view.shape, bool)
    for number in np.argsort(-sizes)[:64] + 1:
        inside = regions == number
        away = np.where(inside, np.abs(view - np.median(view[inside])), np.inf)
        seed = np.unravel_index(away.argmin(), view.shape)
        if not found[seed]:
            found |= segmentation.flood(view, seed, tolerance=2.5 * learned.spreads[0])
    return found


def of_valleys(image: np.ndarray, learned: Any) -> np.ndarray:
    view = smooth(image)
    counts, edges = np.histogram(view, 256, (0, 1))
    curve = ndimage.gaussian_filter1d(counts.astype(float), 5, mode="constant")
    part = np.digitize(view, edges[signal.find_peaks(-curve)[0] + 1])
    means = ndimage.mean(view, part, np.arange(part.max() + 1))
    return means[part] > filters.threshold_otsu(view)


def of_grabcut(image: np.ndarray, learned: Any) -> np.ndarray:
    found = graph_cut(posterior(image, learned), image[None], 4.0)
    pixels, labels = features(image).reshape(-1, 3), found.ravel()
    chosen = np.random.default_rng(0).permutation(len(pixels))
    logs = []
    for label in (0, 1):
        own = chosen[labels[chosen] == label][:6000]
        made = mixture.GaussianMixture(5, random_state=0, reg_covar=1e-4).fit(pixels[own])
        logs.append(made.score_samples(pixels) + np.log((labels == label).mean()))
    odds = (logs[0] - logs[1]).clip(-60, 60).reshape(image.shape)
    return graph_cut(1 / (1 + np.exp(odds)), image[None], 4.0)


def of_shape(image: np.ndarray, learned: Any) -> np.ndarray:
    logs = likelihoods(image, learned) - np.log(learned.shares)[:, None, None]
    odds = (logs[1] - logs[0]).clip(-3, 3)
    shape = learned.shapes[0]
    scales = shape.radius * len(image) / RADIUS * np.array([0.7, 0.85, 1, 1.2, 1.4])
    best = max(
        (
            (signal.fftconvolve(odds, kernel[::-1, ::-1], "same"), kernel)
            for scale in scales
            for turn in (-20, 0, 20)
            for kernel in [rotate(rescale(shape.mean, scale) > 0, turn).astype(float)]
        ),
        key=lambda pair: pair[0].max(),
    )
    start = np.array(np.unravel_index(best[0].argmax(), odds.shape), float)

    def laid(values: np.ndarray) -> np.ndarray:
        scale = np.exp(values[2])
        cos, sin = np.cos(values[3]) / scale, np.sin(values[3]) / scale
        matrix = np.array([[cos, sin], [-sin, cos]])
        offset = np.array(best[1].shape) / 2 - matrix @ values[:2]
        return ndimage.affine_transform(best[1], matrix, offset, odds.shape, order=1)

    found = optimize.minimize(
        lambda values: -(odds * laid(values)).mean(),
        np.array([*start, 0, 0]),
        method="Nelder-Mead",
        options={"maxfev": EVALUATIONS, "xatol": 0.02, "fatol": 1e-4},
    )
    return laid(found.x) > 0.5


def smooth(image: np.ndarray) -> np.ndarray:
    return ndimage.gaussian_filter(image, 2)


PEERS: dict[str, tuple[str, int, Callable[[np.ndarray, Any], np.ndarray]]] = {
    "local-threshold": (
        *("threshold_local", 512),
        lambda image, _: smooth(image) > filters.threshold_local(smooth(image), 351) + 0.05,
    ),
    "multi-otsu": (
        *("threshold_multiotsu", 512),
        lambda image, _: smooth(image) > filters.threshold_multiotsu(smooth(image), 2, 64)[0],
    ),
    "k-means": ("KMeans", 512, of_k_means),
    "gaussian-mixture": (
        *("GaussianMixture", 512),
        lambda image, learned: posterior(image, learned[3]) > 0.5,
    ),
    "watershed": (
        *("GaussianMixture, watershed", 512),
        lambda image, learned: (
            segmentation.watershed(
                ndimage.gaussian_gradient_magnitude(image, 1), markers(image, learned)
            )
            == 2
        ),
    ),
    "edge-filling": ("GaussianMixture, canny, binary_fill_holes", 512, of_edges),
    "random-walker": (
        *("GaussianMixture, random_walker", 256),
        lambda image, learned: (
            segmentation.random_walker(
                image, markers(image, learned), beta=100, mode="cg_j", tol=1e-4, prob_tol=0.5
            )
            == 2
        ),
    ),
    "felzenszwalb": ("GaussianMixture, felzenszwalb", 320, of_felzenszwalb),
    "graph-cut": (
        *("GaussianMixture, PyMaxflow", 512),
        lambda image, learned: graph_cut(posterior(image, learned), image[None], 4.0),
    ),
    "chan-vese": ("GaussianMixture, morphological_chan_vese", 256, of_chan_vese),
    "geodesic-contour": (
        *("GaussianMixture, morphological_geodesic_active_contour", 256),
        of_geodesic,
    ),
    "atlas": ("SimpleITK", 256, of_atlas),
    "atlas-staple": ("SimpleITK, 2 atlases", 256, of_staple),
    "region-growing": ("GaussianMixture, flood", 512, of_flood),
    "histogram-valleys": ("scipy.signal.find_peaks", 512, of_valleys),
    "grabcut": ("GaussianMixture, PyMaxflow", 384, of_grabcut),
    "shape-model": ("GaussianMixture, fftconvolve, Nelder-Mead", 160, of_shape),
}
"""What each stands on, the side at which it works, and the calls."""


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
