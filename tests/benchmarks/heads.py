"""What one query costs with each head, beside UniverSeg's architecture, in one process.

Ours: one colour picture of 256 x 256 pixels, encoder and head, the support condensed beforehand.
UniverSeg: one grey picture of 128 x 128 pixels, which is all that it takes, and the support, which
it needs for every query. Weights are random where they would have to be trained; their values do
not change the time. Repeats of both take turns; a figure is the median. Checked: that the peer has
the published number of parameters, and that with our heads a support of equal pictures labels the
query like one of them.

    python tests/benchmarks/heads.py [--quick]

Without --quick, UniverSeg also gets 64 supports (3.7 GB); with it, those lines have no peer.
Needs Linux (/proc).
"""

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, fields
from functools import partial
from typing import Any

import torch
from shared import observe
from shared.universeg_peer import PARAMETERS, SIDE, UniverSeg

from episodes.catalog.letterbox import Letterbox
from fewshot.inference.postprocessing.pipeline import SliceLogits, postprocess
from fewshot.inference.postprocessing.settings import PostprocessSettings
from fewshot.inference.segmenter import Segmenter
from fewshot.models.heads import (
    ALPNetSettings,
    HeadSettings,
    HSNetSettings,
    INSID3Settings,
    PANetSettings,
    Support,
    UniverSegSettings,
)
from fewshot.models.network import NetworkSettings
from fewshot.recipes import settings_at_test

SIZE = 256
HEADS: dict[str, HeadSettings] = {
    "panet": PANetSettings(),
    "alpnet": ALPNetSettings(),
    "insid3": INSID3Settings(),
    "hsnet": HSNetSettings(),
    "universeg": UniverSegSettings(),
}
_STEPS = {each.name for each in fields(PostprocessSettings)}
REFINED = PostprocessSettings(
    **{k: v for k, v in settings_at_test("alpnet-randomwalk").items() if k in _STEPS}
)
"""The refinement of the package's best recipe: answers at the picture's own size."""


@dataclass(frozen=True)
class Scene:
    """Pictures of bright discs on noise: the supports, their masks, and a query."""

    images: torch.Tensor
    masks: torch.Tensor
    query: torch.Tensor


def scene(count: int) -> Scene:
    generator = torch.Generator().manual_seed(0)
    rows, columns = torch.meshgrid(torch.arange(SIZE), torch.arange(SIZE), indexing="ij")
    centres = torch.randint(80, 176, (count + 1, 2), generator=generator)
    discs = [(rows - r) ** 2 + (columns - c) ** 2 < 45**2 for r, c in centres.tolist()]
    masks = torch.stack(discs).to(torch.uint8)
    noise = torch.rand(count + 1, 1, SIZE, SIZE, generator=generator)
    images = (0.5 * masks[:, None] + 0.4 * noise).expand(-1, 3, -1, -1)
    return Scene(images[:-1], masks[None, :-1], images[-1:])


def ours(segmenter: Segmenter, support: Support, query: torch.Tensor) -> torch.Tensor:
    with torch.inference_mode():
        return segmenter.network.logits(support, query)


def refined(segmenter: Segmenter, support: Support, query: torch.Tensor) -> torch.Tensor:
    with torch.inference_mode():
        logits, features = segmenter.network.logits_and_features(support, query)
        found = postprocess(
            [SliceLogits(logits, query, features)], Letterbox(SIZE, SIZE, SIZE), REFINED
        )
        return torch.stack(list(found))


def peer(model: UniverSeg, query: torch.Tensor, support: torch.Tensor) -> torch.Tensor:
    with torch.inference_mode():
        return model(query, support)


def encode_support(segmenter: Segmenter, images: torch.Tensor, masks: torch.Tensor) -> Support:
    with torch.inference_mode():
        return segmenter.network.encode_support(images.split(8), masks)


def check(segmenter: Segmenter, found: Scene) -> None:
    one, three = (
        encode_support(
            segmenter, found.images[:1].repeat(n, 1, 1, 1), found.masks[:, :1].repeat(1, n, 1, 1)
        )
        for n in (1, 3)
    )
    first, second = (ours(segmenter, support, found.query) for support in (one, three))
    equal = (first.argmax(dim=1) == second.argmax(dim=1)).float().mean()
    if equal < 0.99:
        raise RuntimeError(
            f"{segmenter.network.settings.head}: {equal:.3f} of the labels are equal"
        )


def milliseconds(call: Callable[[], Any]) -> float:
    start = time.perf_counter()
    call()
    return 1e3 * (time.perf_counter() - start)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="within 50 seconds")
    arguments = parser.parse_args()
    repeats = 3 if arguments.quick else 7
    torch.manual_seed(0)
    model = UniverSeg().eval()
    if (count := sum(weight.numel() for weight in model.parameters())) != PARAMETERS:
        raise RuntimeError(f"the peer has {count:,} parameters; expected {PARAMETERS:,}")
    segmenters = {name: Segmenter(NetworkSettings(head=h)) for name, h in HEADS.items()}
    found = scene(64)
    for segmenter in segmenters.values():
        check(segmenter, found)
    for supports in (1, 16, 64):
        images, masks = found.images[:supports], found.masks[:, :supports]
        calls: dict[str, partial[torch.Tensor]] = {
            name: partial(ours, segmenter, encode_support(segmenter, images, masks), found.query)
            for name, segmenter in segmenters.items()
        }
        calls["local head, refined"] = partial(
            *(refined, segmenters["alpnet"], calls["alpnet"].args[1], found.query)
        )
        if supports < 64 or not arguments.quick:
            small = torch.cat([images[:, :1], masks[0, :, None].float()], dim=1)
            small = torch.nn.functional.interpolate(small, size=(SIDE, SIDE), mode="area")
            grey = torch.nn.functional.interpolate(found.query[:, :1], size=(SIDE, SIDE))
            calls["universeg"] = partial(peer, model, grey, small)
        times: dict[str, list[float]] = {name: [] for name in calls}
        peaks = {name: observe(call).peak_mib for name, call in calls.items()}  # and warms up
        for _ in range(repeats):
            for name, call in calls.items():
                times[name].append(milliseconds(call))
        report(supports, {name: statistics.median(t) for name, t in times.items()}, peaks)


def report(supports: int, median: dict[str, float], peaks: dict[str, float]) -> None:
    other = median.get("universeg")
    for name in (name for name in median if name != "universeg"):
        what = f"{name} head" if name in HEADS else name
        line = {
            "name": f"one query, {what}, {supports} supports",
            "unit": "ms",
            "ours": round(median[name], 2),
            "peer": None if other is None else "UniverSeg's architecture, 128 x 128 grey",
            "peer_value": None if other is None else round(other, 2),
            "ratio": None if other is None else round(other / median[name], 2),
            "peak_mib_ours": round(peaks[name], 2),
            "peak_mib_peer": None if other is None else round(peaks["universeg"], 2),
        }
        sys.stdout.write(json.dumps(line) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
