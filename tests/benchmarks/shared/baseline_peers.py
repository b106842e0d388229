"""What classical baselines stand on, as plain calls of the libraries, to be timed beside ours.

Each call takes an image, float32 [height width] from 0 to 1, and what ours learned of the annotated
picture, and gives a mask.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy import ndimage, optimize, signal
from skimage import feature, filters, morphology, segmentation
from skimage.transform import rescale, resize, rotate
from sklearn import mixture

from fewshot.baselines.image_registration import as_image, register_affine, register_demons
from fewshot.baselines.shapes import _EVALUATIONS as EVALUATIONS
from fewshot.baselines.shapes import _RADIUS as RADIUS
from fewshot.inference.postprocessing.graph_cut import graph_cut


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
