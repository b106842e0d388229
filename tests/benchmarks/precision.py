"""What a training step of the default encoder costs in our number formats, and in torch's own.

One forward and backward pass of EfficientNet-Lite0 on a batch of squares, one thread. Ours is
`fewshot.models.precision.autocast`; the peers are torch.autocast with bfloat16, and float32. Rounds
alternate; a figure is the median over rounds. On processors without AMX all of ours is float32, and
its ratio to float32 about 1.

    python tests/benchmarks/precision.py [--quick]

Needs Linux (/proc).
"""

import argparse
import json
import statistics
import sys
from contextlib import AbstractContextManager, nullcontext
from functools import partial

import torch
from shared import observe

from fewshot.models.efficientnet_lite0 import EfficientNetLite0
from fewshot.models.precision import autocast

CPU = torch.device("cpu")


def step(encoder: torch.nn.Module, images: torch.Tensor, how: AbstractContextManager) -> None:
    encoder.zero_grad()
    with how:
        maps = encoder(images)
    sum(each.float().square().mean() for each in maps).backward()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="fewer rounds: within 30 seconds")
    rounds = 5 if parser.parse_args().quick else 15
    torch.set_num_threads(1)
    encoder = EfficientNetLite0((8, 16, 32), imagenet=True).eval()
    encoder = encoder.to(memory_format=torch.channels_last)
    images = torch.rand(4, 3, 192, 192).to(memory_format=torch.channels_last)
    formats = {
        "ours": partial(autocast, CPU, training=True),
        "torch.autocast to bfloat16": partial(torch.autocast, "cpu", torch.bfloat16),
        "float32": nullcontext,
    }
    times: dict[str, list[float]] = {name: [] for name in formats}
    peak: dict[str, float] = {}
    for number in range(rounds + 1):
        for name, how in formats.items():
            seen = observe(partial(step, encoder, images, how()))
            if number:  # the first one prepares kernels
                times[name].append(seen.milliseconds)
                peak[name] = max(seen.peak_mib, peak.get(name, 0))
    median = {name: statistics.median(values) for name, values in times.items()}
    for peer in list(formats)[1:]:
        line = {
            "name": "training step of EfficientNet-Lite0, 4 images of 192 x 192",
            "unit": "ms",
            "ours": round(median["ours"], 1),
            "peer": peer,
            "peer_value": round(median[peer], 1),
            "ratio": round(median[peer] / median["ours"], 2),
            "peak_mib_ours": round(peak["ours"], 1),
            "peak_mib_peer": round(peak[peer], 1),
        }
        sys.stdout.write(json.dumps(line) + "\n")


if __name__ == "__main__":
    main()
