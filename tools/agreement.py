"""Measure how often the agreement warns: of pairs that were segmented well, and of foreign ones.

    python tools/agreement.py DATA [DATA ...] [--images 6] [--sizes 256 512] [--seed 0]

Of every data set some images of other subjects are drawn, each of which is the support of all
others, and of as many images of the other data sets. A pair of one data set counts as good where
its Dice is above 0.8. Prints one JSON object a line: for each data set that gives the support and
each size of the square, and for all together, the share of good pairs warned of (false alarms) and
of foreign pairs warned of (detections), and the area under the ROC curve; "plain" is the measure
without the bounds on what is asked for (no familiar cosine, no share of the support's own
consistency) at its threshold of 0.3.
"""

import argparse
import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from episodes.catalog.class_areas import compute_class_areas
from episodes.catalog.loader import Loader
from episodes.io.pixels import IGNORE
from episodes.readers import read_catalog
from episodes.sampling.episode import to_channels
from episodes.sampling.sampler import binary_mask
from fewshot.inference.query_similarity import (
    MIN_SIMILARITY,
    cycle_consistency,
    feature_similarity,
    query_support_similarity,
    with_masks,
)
from fewshot.inference.segmenter import Segmenter
from fewshot.metrics.ranking import roc_auc
from fewshot.models.heads import Support

GOOD, PLAIN_LOW = 0.8, 0.3
Row = dict[str, object]


@dataclass(frozen=True)
class Item:
    """One annotated image: its support, features [feature rows columns], and mask in the square."""

    data: str
    subject: str
    support: Support
    features: Tensor
    mask: Tensor


def items(
    data: Path, segmenter: Segmenter, count: int, size: int, generator: np.random.Generator
) -> Iterator[Item]:
    """Draw images of several subjects that show the most frequent class of a data set."""
    catalog = compute_class_areas(read_catalog(data))
    name = max(catalog.classes, key=lambda n: sum(n in (s.areas or {}) for s in catalog.samples))
    shown = [sample for sample in catalog.samples if (sample.areas or {}).get(name)]
    way, loader, seen = catalog.classes.index(name) + 1, Loader(size), set()
    for number in generator.permutation(len(shown)):
        sample = shown[number]
        if sample.subject in seen:
            continue
        mask = binary_mask(loader.labels(sample, catalog.classes), way)
        share = float((mask == 1).float().mean())
        if not 0.002 < share < 0.9:
            continue
        seen.add(sample.subject)
        image = to_channels(loader.image(sample), 3)[None]
        support = segmenter.network.encode_support([image], mask[None, None])
        features = segmenter.network.encode(image)[0]
        kept = with_masks(
            support.shots,
            mask[None, None],
            segmenter.network.head,
            segmenter.network.encoder.stride,
        )
        yield Item(data.name, sample.subject, Support(support.tensors, shots=kept), features, mask)
        if len(seen) == count:
            return


def compare(support: Item, query: Item, segmenter: Segmenter) -> Row:
    """Segment one item like another, and measure."""
    head, shots = segmenter.network.head, support.support.shots
    logits = head.logits(support.support, query.features[None, None])[0, 0]
    labels = logits.argmax(dim=0)
    full = torch.nn.functional.interpolate(logits[None], size=query.mask.shape, mode="bilinear")
    known, found = query.mask != IGNORE, full[0].argmax(dim=0) == 1
    real = query.mask == 1
    total = int((found & known).sum() + real.sum())
    alike = feature_similarity(query.features, shots["features"].float(), familiar=1.0)
    back = cycle_consistency(
        head, shots["features"].float(), shots["masks"], query.features, labels
    )
    return {
        "data": support.data,
        "own": support.data == query.data,
        "dice": 2 * int((found & real).sum()) / total if total else 0.0,
        "agreement": query_support_similarity(head, shots, query.features, labels),
        "plain": alike if back is None else math.sqrt(alike * back),
    }


def report(name: str, size: object, rows: list[Row]) -> Row:
    """Count warnings."""
    good = [row for row in rows if row["own"] and row["dice"] > GOOD]
    foreign = [row for row in rows if not row["own"]]
    line: Row = {"data": name, "size": size, "good": len(good), "foreign": len(foreign)}
    for measured, low in (("agreement", MIN_SIMILARITY), ("plain", PLAIN_LOW)):
        a, b = (np.array([float(row[measured]) for row in part]) for part in (good, foreign))
        line[measured] = {
            "false_alarms": float((a < low).mean()) if len(a) else None,
            "detections": float((b < low).mean()) if len(b) else None,
            "auc": float(roc_auc([*a, *b], [1] * len(a) + [0] * len(b))) if len(a) else None,
        }
    return line


@torch.inference_mode()
def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("data", nargs="+", type=Path)
    parser.add_argument("--images", type=int, default=6)
    parser.add_argument("--sizes", nargs="+", type=int, default=[256, 512])
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    segmenter, everything = Segmenter(), []
    for size in options.sizes:
        generator = np.random.default_rng(options.seed)
        drawn = [
            item
            for data in options.data
            for item in items(data, segmenter, options.images, size, generator)
        ]
        rows: list[Row] = []
        for support in drawn:
            own = [x for x in drawn if x.data == support.data and x.subject != support.subject]
            others = [x for x in drawn if x.data != support.data]
            order = generator.permutation(len(others))[: len(own)]
            pairs = [*own, *(others[number] for number in order)]
            rows += [compare(support, query, segmenter) for query in pairs]
        for data in options.data:
            print(json.dumps(report(data.name, size, [r for r in rows if r["data"] == data.name])))
        print(json.dumps(report("all", size, rows)), flush=True)
        everything += rows
    print(json.dumps(report("all", "all", everything)))


if __name__ == "__main__":
    main()
