"""Time forward and backward of the losses against torch, MONAI and segmentation_models_pytorch.

    python tests/benchmarks/losses.py [--quick] [--threads N]

All run in this process on the same inputs: one image of 512 x 512 and one of 64 x 64 x 64 pixels,
5 classes, float32, all classes present, nothing ignored. Before timing, the values are checked to
agree; a peer that means something else is brought to the same meaning (see `pairs`). Repeats are
interleaved; one JSON object a line gives medians, and ratio > 1 means that ours is faster. Peak
memory is what torch allocates above its inputs in one forward and backward, by its profiler. One
thread by default: two on a busy machine of two cores wait for each other longer than they work.
"""

import argparse
import json
import os
import statistics
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import NamedTuple

os.environ.setdefault("KINETO_LOG_LEVEL", "99")  # the profiler's notes are no results

import monai.losses
import numpy as np
import segmentation_models_pytorch.losses as smp
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.profiler import ProfilerActivity, profile

from fewshot import losses

CLASSES = 5
Run = Callable[[Tensor, Tensor], Tensor]


class Pair(NamedTuple):
    """Ours and a peer on the same inputs; `same` maps the peer's value to our meaning."""

    name: str
    peer: str
    ours: Run
    theirs: Run
    same: Callable[[Tensor], Tensor] = lambda value: value


def blobs(space: tuple[int, ...]) -> tuple[Tensor, Tensor]:
    """Smooth regions of all classes, and logits that are right more often than not."""
    generator = torch.Generator().manual_seed(0)
    coarse = torch.randn(1, CLASSES, *[size // 16 for size in space], generator=generator)
    mode = "bilinear" if len(space) == 2 else "trilinear"
    scores = F.interpolate(coarse, size=space, mode=mode)
    logits = 2 * scores + torch.randn(1, CLASSES, *space, generator=generator)
    return logits, scores.argmax(1)


def of_monai(name: str, **settings: object) -> Run:
    """A MONAI loss with the argument order and target of ours."""
    loss = getattr(monai.losses, name)(to_onehot_y=True, **settings)
    return lambda logits, target: loss(logits, target.unsqueeze(1))


def pairs(target: Tensor) -> Iterator[Pair]:
    """Ours and the peers that compute the same, or the same up to what `same` says."""
    exact = {"softmax": True, "smooth_nr": 0, "smooth_dr": 0}
    asymmetric = {"alpha": 0.3, "beta": 0.7}
    yield Pair("cross_entropy", "torch", losses.cross_entropy_loss, F.cross_entropy)
    yield Pair("balanced_cross_entropy", "torch", losses.balanced_cross_entropy_loss, balanced)
    focal = of_monai("FocalLoss", use_softmax=True)
    # MONAI's mean divides by the number of classes too.
    yield Pair("focal", "monai", losses.focal_loss, focal, lambda value: value * CLASSES)
    yield Pair("dice", "monai", losses.dice_loss, of_monai("DiceLoss", **exact))
    yield Pair("dice", "smp", losses.dice_loss, smp.DiceLoss("multiclass"))
    generalised = of_monai("GeneralizedDiceLoss", **exact)
    yield Pair("generalised_dice", "monai", losses.generalised_dice_loss, generalised)
    tversky = losses.tversky_loss
    yield Pair("tversky", "monai", tversky, of_monai("TverskyLoss", **exact, **asymmetric))
    yield Pair("tversky", "smp", tversky, smp.TverskyLoss("multiclass", **asymmetric))
    # SMP takes the root after the mean over classes: one class alone has one meaning.
    focal_tversky = smp.TverskyLoss("multiclass", classes=[1], gamma=0.75, **asymmetric)
    ours = partial(two_classes, partial(losses.focal_tversky_loss, include_background=False))
    yield Pair("focal_tversky", "smp", ours, partial(two_classes, focal_tversky))
    yield Pair("lovasz", "smp", losses.lovasz_loss, smp.LovaszLoss("multiclass", per_image=True))
    yield boundary_pair(target)
    # MONAI adds up the centre lines of all classes: one foreground class alone has one meaning.
    cl_dice = of_monai("SoftclDiceLoss", softmax=True, include_background=False, smooth=1e-12)
    ours = partial(two_classes, losses.cl_dice_loss)
    yield Pair("cl_dice", "monai", ours, partial(two_classes, cl_dice))


def balanced(logits: Tensor, target: Tensor) -> Tensor:
    """Torch's cross-entropy with weights from the frequencies of the batch."""
    counts = target.flatten().bincount(minlength=CLASSES)
    return F.cross_entropy(logits, target, weight=counts.sum() / (CLASSES * counts))


def two_classes(loss: Run, logits: Tensor, target: Tensor) -> Tensor:
    """Apply a loss to the classes 0 and 1, with the others as background."""
    return loss(logits[:, :2].contiguous(), (target == 1).long())


def boundary_pair(target: Tensor) -> Pair:
    """MONAI computes the maps inside forward, ours has them from the loader."""
    maps = [losses.signed_distances(labels, CLASSES) for labels in target.numpy()]
    # MONAI shifts the inside by one pixel.
    shifted = torch.from_numpy(np.stack(maps)) + F.one_hot(target, CLASSES).movedim(-1, 1)
    ours = partial(losses.boundary_loss, distances=shifted)
    return Pair("boundary", "monai", ours, of_monai("BoundaryLoss", softmax=True))


def step(loss: Run, logits: Tensor, target: Tensor) -> Tensor:
    """Run forward and backward once."""
    logits.grad = None
    value = loss(logits, target)
    value.backward()
    return value.detach()


def peak_mib(loss: Run, logits: Tensor, target: Tensor) -> float:
    """The most memory that torch held above its inputs during one forward and backward."""
    logits.grad = None
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as recorded:
        step(loss, logits, target)
    held = peak = 0
    for event in sorted(recorded.profiler.kineto_results.events(), key=lambda e: e.start_ns()):
        if event.name() == "[memory]":
            held += event.nbytes()
            peak = max(peak, held)
    return peak / 2**20


def measure(pair: Pair, logits: Tensor, target: Tensor, seconds: float, size: str) -> dict:
    """Check that the values agree, then time both in turn until the seconds are used."""
    ours, theirs = step(pair.ours, logits, target), step(pair.theirs, logits, target)
    torch.testing.assert_close(ours, pair.same(theirs), rtol=2e-4, atol=1e-6, msg=pair.name)
    times: tuple[list[float], list[float]] = ([], [])
    until = time.perf_counter() + seconds
    while len(times[0]) < 3 or time.perf_counter() < until:
        for loss, taken in zip((pair.ours, pair.theirs), times, strict=True):
            start = time.perf_counter()
            step(loss, logits, target)
            taken.append(1e3 * (time.perf_counter() - start))
    mine, peers = statistics.median(times[0]), statistics.median(times[1])
    return {
        "name": f"{pair.name} {size} x {CLASSES}",
        "unit": "ms",
        "ours": round(mine, 2),
        "peer": pair.peer,
        "peer_value": round(peers, 2),
        "ratio": round(peers / mine, 2),
        "peak_mib_ours": round(peak_mib(pair.ours, logits, target), 1),
        "peak_mib_peer": round(peak_mib(pair.theirs, logits, target), 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="end within 50 seconds on 2 cores")
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    seconds = 0.5 if arguments.quick else 4.0
    for size, space in (("512^2", (512, 512)), ("64^3", (64, 64, 64))):
        logits, target = blobs(space)
        logits.requires_grad_()
        for pair in pairs(target):
            print(json.dumps(measure(pair, logits, target, seconds, size)), flush=True)


if __name__ == "__main__":
    main()
