"""Time and peak memory of fewshot.metrics against the named peers, in one process.

Each line compares one set of scores with one peer on the same inputs: the values are checked to
agree, calls alternate between the two, times are medians, and the peak is how far the resident
memory of the process rises during one more call. Every side starts from label maps in the type it
takes (NumPy uint8 or torch int64); what it needs besides, such as one-hot channels, it has to pay
for itself. All run on one thread unless --threads says otherwise: with two, the torch peers gain
at most twofold on an idle machine and lose a hundredfold when anything else runs beside them.

    python tests/benchmarks/metrics.py [--quick] [--threads N]

Needs the extra ``bench`` and Linux (/proc).
"""

import argparse
import gc
import json
import statistics
import sys
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import surface_distance
import torch
from monai.metrics import (
    compute_average_surface_distance,
    compute_dice,
    compute_hausdorff_distance,
    compute_iou,
    compute_surface_dice,
    get_confusion_matrix,
)
from scipy import ndimage
from shared import observe
from sklearn.metrics import confusion_matrix as sklearn_confusion
from stardist.matching import matching
from torchmetrics.functional.classification import (
    multiclass_confusion_matrix,
    multiclass_f1_score,
    multiclass_jaccard_index,
)
from torchmetrics.functional.detection import panoptic_quality as torchmetrics_panoptic_quality

from fewshot.metrics import instances, surface
from fewshot.metrics.overlap import confusion_matrix, dice, iou

# surface-distance 0.1 calls SciPy by its old namespaces
warnings.filterwarnings("ignore", "Please import", DeprecationWarning)


@dataclass(frozen=True)
class Pair:
    """One line of the benchmark: ours and a peer, both calls without arguments.

    The first call of the peer warms it up and does not count, unless ``slow`` says that a call is
    so long that a warm-up cannot matter: then its time and its memory are taken from it.
    """

    name: str
    peer: str
    ours: Callable[[], Any]
    theirs: Callable[[], Any]
    agree: Callable[[Any, Any], None]
    repeats: int
    slow: bool = False


def milliseconds(call: Callable[[], Any]) -> float:
    start = time.perf_counter()
    call()
    return 1e3 * (time.perf_counter() - start)


def measure(pair: Pair) -> dict[str, Any]:
    """Compare the values, then time both in turn, ours three times as it is quick."""
    first = observe(pair.theirs)
    pair.agree(pair.ours(), first.result)
    ours: list[float] = []
    theirs = [first.milliseconds] if pair.slow else []
    while len(theirs) < pair.repeats or not ours:
        ours.extend(milliseconds(pair.ours) for _ in range(3))
        if len(theirs) < pair.repeats:
            theirs.append(milliseconds(pair.theirs))
    ours_ms, theirs_ms = statistics.median(ours), statistics.median(theirs)
    return {
        "name": pair.name,
        "unit": "ms",
        "ours": round(ours_ms, 3),
        "peer": pair.peer,
        "peer_value": round(theirs_ms, 3),
        "ratio": round(theirs_ms / ours_ms, 2),
        "peak_mib_ours": round(observe(pair.ours).peak_mib, 2),
        "peak_mib_peer": round((first if pair.slow else observe(pair.theirs)).peak_mib, 2),
    }


def smooth_labels(shape: tuple[int, ...], classes: int, seed: int) -> np.ndarray:
    """Regions of every class as smooth as anatomy: quantiles of blurred noise."""
    noise = np.random.default_rng(seed).normal(size=shape)
    noise = ndimage.gaussian_filter(noise, 6, mode="wrap")
    edges = np.quantile(noise, np.linspace(0, 1, classes + 1)[1:-1])
    return np.digitize(noise, edges).astype(np.uint8)


def overlap_pairs(quick: bool) -> list[Pair]:
    pairs = []
    for shape, classes in (((512, 512), 2), ((512, 512), 20), ((128,) * 3, 20)):
        reference = smooth_labels(shape, classes, seed=0)
        labels = np.roll(reference, 2, axis=0)
        name = f"confusion + Dice + IoU, {'x'.join(map(str, shape))}, {classes} classes"
        repeats = 3 if quick else 15
        pairs += one_overlap(name, labels, reference, classes, repeats)
    return pairs


def one_overlap(
    name: str, labels: np.ndarray, reference: np.ndarray, classes: int, repeats: int
) -> list[Pair]:
    long_labels = torch.from_numpy(labels.astype(np.int64))
    long_reference = torch.from_numpy(reference.astype(np.int64))

    def ours() -> tuple[np.ndarray, ...]:
        counts = confusion_matrix(labels, reference, classes)
        return counts, dice(counts), iou(counts)

    def monai() -> tuple[np.ndarray, ...]:
        one_hot = [
            torch.nn.functional.one_hot(each, classes).movedim(-1, 0)[None]
            for each in (long_labels, long_reference)
        ]
        counts = get_confusion_matrix(*one_hot)
        return (
            counts.numpy()[0],
            compute_dice(*one_hot)[0].numpy(),
            compute_iou(*one_hot)[0].numpy(),
        )

    def torchmetrics() -> tuple[np.ndarray, ...]:
        arguments = (long_labels.flatten(), long_reference.flatten(), classes)
        counts = multiclass_confusion_matrix(*arguments)
        f1 = multiclass_f1_score(*arguments, average="none")
        return counts.numpy(), f1.numpy(), multiclass_jaccard_index(*arguments, "none").numpy()

    def sklearn() -> tuple[np.ndarray, ...]:
        # the same two formulae of ours on its matrix
        counts = sklearn_confusion(reference.ravel(), labels.ravel(), labels=np.arange(classes))
        return counts, dice(counts), iou(counts)

    def scores_agree(first: tuple[np.ndarray, ...], second: tuple[np.ndarray, ...]) -> None:
        if first[0].shape == second[0].shape:
            np.testing.assert_array_equal(first[0], second[0])
        else:  # MONAI counts TP, FP, TN, FN a class
            np.testing.assert_array_equal(np.diag(first[0]), second[0][:, 0])
        np.testing.assert_allclose(first[1], second[1], atol=1e-5)
        np.testing.assert_allclose(first[2], second[2], atol=1e-5)

    peers = {"MONAI": monai, "torchmetrics": torchmetrics, "scikit-learn": sklearn}
    slow = {"MONAI"} if labels.size * classes > 10**7 else set()
    return [
        Pair(name, peer, ours, call, scores_agree, repeats // 3, slow=True)
        if peer in slow
        else Pair(name, peer, ours, call, scores_agree, repeats)
        for peer, call in peers.items()
    ]


def organ(seed: int, centre: tuple[int, ...]) -> np.ndarray:
    """An ellipsoid with a bumpy surface in 128^3 voxels."""
    grid = np.stack(np.meshgrid(*[np.arange(128.0)] * 3, indexing="ij"), axis=-1)
    bumps = ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=(128,) * 3), 6)
    return np.linalg.norm((grid - centre) / (40, 36, 44), axis=-1) + 0.05 * bumps / bumps.std() < 1


def surface_pairs(quick: bool) -> list[Pair]:
    reference, labels = organ(0, (64, 64, 64)), organ(1, (66, 62, 65))
    tensors = [torch.from_numpy(each)[None, None] for each in (labels, reference)]

    def ours() -> list[float]:
        found = surface.surface_distances(labels, reference)
        scores = [surface.hausdorff(found), surface.hd_directed(found)]
        return [*scores, surface.assd(found), surface.nsd(found, 1.0)]

    def monai() -> list[float]:
        settings = {"include_background": True}
        scores = [
            compute_hausdorff_distance(*tensors, **settings),
            compute_hausdorff_distance(*tensors, **settings, percentile=95),
            compute_average_surface_distance(*tensors, **settings, symmetric=True),
            compute_surface_dice(*tensors, [1.0], **settings),
        ]
        return [float(each) for each in scores]

    def deepmind() -> list[float]:
        found = surface_distance.compute_surface_distances(reference, labels, (1, 1, 1))
        average = surface_distance.compute_average_surface_distance(found)
        return [
            surface_distance.compute_robust_hausdorff(found, 100),
            surface_distance.compute_robust_hausdorff(found, 95),
            sum(average) / 2,
            surface_distance.compute_surface_dice_at_tolerance(found, 1.0),
        ]

    def equal(first: list[float], second: list[float]) -> None:
        np.testing.assert_allclose(first, second, rtol=1e-5)

    def close(first: list[float], second: list[float]) -> None:
        # its surface runs between the voxels and is weighted by area: at most a voxel diagonal off
        np.testing.assert_allclose(first[:3], second[:3], atol=3**0.5)
        np.testing.assert_allclose(first[3], second[3], atol=0.1)

    name, repeats = "HD + HD95 + ASSD + NSD, 128x128x128", 5 if quick else 21
    return [
        Pair(name, "surface-distance", ours, deepmind, close, repeats),
        Pair(name, "MONAI", ours, monai, equal, repeats),
    ]


def nuclei(seed: int, count: int = 1500, size: int = 1024) -> np.ndarray:
    """Discs of many sizes on a shaken grid, some touching, as one instance map."""
    generator = np.random.default_rng(seed)
    side = int(np.ceil(count**0.5))
    step = size / side
    labels = np.zeros((size, size), np.int32)
    for index in generator.permutation(count):
        centre = (np.array(divmod(index, side)) + 0.5) * step + generator.uniform(-3, 3, 2)
        radius = generator.uniform(0.3, 0.55) * step
        low = np.maximum(centre - radius, 0).astype(int)
        window = tuple(slice(each, each + int(2 * radius) + 3) for each in low)
        rows, columns = np.ogrid[window]
        rows, columns = rows[rows < size][:, None], columns[columns < size][None]
        inside = (rows - centre[0]) ** 2 + (columns - centre[1]) ** 2 < radius**2
        labels[window][inside] = index + 1
    return labels


def instance_pairs(quick: bool) -> list[Pair]:
    reference = nuclei(0)
    labels = np.roll(np.where(reference % 10 == 0, 0, reference), 1, axis=0)  # shifted, some missed
    labels[nuclei(1) % 15 == 1] = reference.max() + 1  # and one invented
    tensors = [
        torch.from_numpy(np.stack([(each > 0).astype(np.int64), each], axis=-1))[None]
        for each in (labels, reference)
    ]

    def ours() -> tuple[instances.OverlapTable, float, float]:
        table = instances.overlap_table(labels, reference)
        quality = instances.panoptic_quality(instances.match_counts(table))
        return table, float(quality[0]), instances.dsb_score(table)

    def stardist() -> tuple[float, float]:
        found = matching(reference, labels, thresh=instances.DSB_THRESHOLDS)
        return found[0].panoptic_quality, float(np.mean([each.accuracy for each in found]))

    def torchmetrics() -> float:
        quality = torchmetrics_panoptic_quality(
            *tensors, things={1}, stuffs={0}, return_per_class=True
        )
        return float(quality[0, 0])  # things come first

    def agree(first: tuple[instances.OverlapTable, float, float], second: tuple[float, float]):
        table, quality, _ = first
        np.testing.assert_allclose(quality, second[0], rtol=1e-6)
        # the Bowl score asks for IoU > t, StarDist for IoU >= t, and some pairs lie just on a
        # threshold; so its answer is rebuilt from our table
        hits = np.array([(table.iou >= each).sum() for each in instances.DSB_THRESHOLDS])
        objects = len(table.reference_ids) + len(table.label_ids)
        np.testing.assert_allclose(np.mean(hits / (objects - hits)), second[1], rtol=1e-12)

    def qualities_agree(first: tuple[Any, float, float], second: float) -> None:
        np.testing.assert_allclose(first[1], second, rtol=1e-6)

    name = "PQ + Bowl score, 1024x1024, 1500 nuclei"
    # torchmetrics has no Bowl score: ours computes both, it computes PQ only
    peer, repeats = "torchmetrics (PQ only)", 1 if quick else 5
    return [
        Pair(name, "StarDist", ours, stardist, agree, 5 if quick else 21),
        Pair(name, peer, ours, torchmetrics, qualities_agree, repeats, slow=True),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="fewer repeats: within 50 seconds")
    parser.add_argument("--threads", type=int, default=1, help="of torch; ours and NumPy use one")
    arguments = parser.parse_args()
    quick = arguments.quick
    torch.set_num_threads(arguments.threads)
    gc.freeze()  # what the imports left would be searched at every collection, a second a row
    for pairs in (overlap_pairs, surface_pairs, instance_pairs):
        for pair in pairs(quick):
            sys.stdout.write(json.dumps(measure(pair)) + "\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main()
