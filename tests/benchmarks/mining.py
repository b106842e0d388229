"""Losses with mining, forward and backward, beside pytorch-metric-learning.

Both sides get the same embeddings of unit length, 128 numbers each, four a class; values and
gradients are checked to agree before anything is timed. Rounds alternate between the two; a figure
is the median. Times are of the processor, on one thread, so that other work on the machine plays no
part. Memory is how far resident memory rises during one call.

    python tests/benchmarks/mining.py [--quick]

Needs the extra ``bench`` and Linux (/proc).
"""

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable
from functools import partial

import torch
from pytorch_metric_learning import losses, miners
from pytorch_metric_learning.distances import LpDistance
from shared import observe
from torch import Tensor
from torch.nn import functional

from fewshot.siamese.losses.contrastive import ContrastiveLoss
from fewshot.siamese.losses.triplet import TripletLoss

DIM, EACH, MARGIN = 128, 4, 0.2
Loss = Callable[[Tensor, Tensor], Tensor]


def plain_distance() -> LpDistance:
    return LpDistance(normalize_embeddings=False)  # they are of unit length already


def peer_triplet(miner: torch.nn.Module) -> Loss:
    loss = losses.TripletMarginLoss(MARGIN, distance=plain_distance())
    return lambda embeddings, labels: loss(embeddings, labels, miner(embeddings, labels))


def band(kind: str) -> torch.nn.Module:
    return miners.TripletMarginMiner(MARGIN, kind, distance=plain_distance())


def own(loss: torch.nn.Module) -> Loss:
    return lambda embeddings, labels: loss(embeddings, labels)["loss"]


CASES: dict[str, tuple[Loss, Loss]] = {
    "batch-hard + triplet": (
        own(TripletLoss("batch-hard", MARGIN)),
        peer_triplet(miners.BatchHardMiner(distance=plain_distance())),
    ),
    "semi-hard + triplet": (own(TripletLoss("semi-hard", MARGIN)), peer_triplet(band("semihard"))),
    "all triplets": (own(TripletLoss("all", MARGIN)), peer_triplet(band("all"))),
    "contrastive": (
        own(ContrastiveLoss(1.0, squared=False)),
        losses.ContrastiveLoss(0.0, 1.0, distance=plain_distance()),
    ),
}


def make(count: int) -> tuple[Tensor, Tensor]:
    """Points that scatter around their class as those of a half-trained network do."""
    generator = torch.Generator().manual_seed(count)
    labels = torch.arange(count) // EACH
    centres = torch.randn(count // EACH, DIM, generator=generator)
    points = centres[labels] + 1.5 * torch.randn(count, DIM, generator=generator)
    return functional.normalize(points, dim=1), labels


def call(loss: Loss, points: Tensor, labels: Tensor) -> tuple[float, Tensor]:
    embeddings = points.clone().requires_grad_()
    value = loss(embeddings, labels)
    value.backward()
    return value.item(), embeddings.grad


def check_equal(name: str, ours: tuple[float, Tensor], peer: tuple[float, Tensor]) -> None:
    if abs(ours[0] - peer[0]) > 1e-5 or not torch.allclose(ours[1], peer[1], atol=1e-5):
        gap = (ours[1] - peer[1]).abs().max()
        raise RuntimeError(f"{name}: {ours[0]} and {peer[0]} differ, or gradients by {gap:.2g}")


def seconds(function: Callable[[], object]) -> float:
    start = time.process_time()
    function()
    return time.process_time() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="fewer rounds: within 50 seconds")
    budget = 1.0 if parser.parse_args().quick else 10.0  # seconds for the rounds of a case
    torch.set_num_threads(1)
    for count in (64, 256, 1024):
        points, labels = make(count)
        for name, pair in CASES.items():
            ours, peer = (partial(call, loss, points, labels) for loss in pair)
            check_equal(name, ours(), peer())
            once = seconds(ours) + seconds(peer)
            rounds = min(200, max(3, int(budget / max(once, 1e-3))))
            times = [(seconds(ours), seconds(peer)) for _ in range(rounds)]
            fast, slow = (1e3 * statistics.median(column) for column in zip(*times, strict=True))
            line = {
                "name": f"{name}, {count} items",
                "unit": "ms",
                "ours": round(fast, 3),
                "peer": "pytorch-metric-learning",
                "peer_value": round(slow, 3),
                "ratio": round(slow / fast, 2),
                "peak_mib_ours": round(observe(ours).peak_mib, 2),
                "peak_mib_peer": round(observe(peer).peak_mib, 2),
            }
            sys.stdout.write(json.dumps(line) + "\n")


if __name__ == "__main__":
    main()
