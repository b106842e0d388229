"""Exact search in the match index: time a query and memory, beside faiss' flat index.

An index of 128-channel embeddings in a folder is built, opened and asked for the 10 nearest of one
query at a time, and of 64 queries at once; faiss IndexFlatIP holds the same embeddings in memory
and gives the same items. Times are medians; memory is the rise of resident memory while the index
is opened and asked, the mapped file included. --quick has 100,000 items, else 1,000,000 (512 MB on
disk).

    python tests/benchmarks/index.py [--quick]

Needs the extras ``bench`` and ``match``, and Linux (/proc).
"""

import argparse
import json
import os
import statistics
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import faiss
import numpy as np
from shared import observe

from fewshot.siamese.retrieval.open import create_index, open_index

CHANNELS, K, PART = 128, 10, 50_000


def part(number: int) -> np.ndarray:
    """Embeddings of unit length."""
    places = np.random.default_rng(number).normal(size=(PART, CHANNELS)).astype(np.float32)
    return places / np.linalg.norm(places, axis=1, keepdims=True)


def say(name: str, unit: str, ours: tuple[float, float], peer: tuple[float, float]) -> None:
    line = {
        "name": name,
        "unit": unit,
        "ours": round(ours[0], 2),
        "peer": "faiss IndexFlatIP",
        "peer_value": round(peer[0], 2),
        "ratio": round(peer[0] / ours[0], 2),
        "peak_mib_ours": round(ours[1], 1),
        "peak_mib_peer": round(peer[1], 1),
    }
    sys.stdout.write(json.dumps(line) + "\n")


def timed(call: Callable[[], object], rounds: int) -> float:
    return statistics.median(observe(call).milliseconds for _ in range(rounds))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="100,000 items: within 50 seconds")
    quick = parser.parse_args().quick
    count, rounds = (100_000, 5) if quick else (1_000_000, 7)
    faiss.omp_set_num_threads(int(os.environ.get("OMP_NUM_THREADS", 2)))
    queries = part(10**6)[:64]
    with tempfile.TemporaryDirectory() as folder:
        index = create_index(Path(folder) / "index", CHANNELS)

        def build() -> None:
            for start in range(0, count, PART):
                keys = [f"item {number}" for number in range(start, start + PART)]
                rows = [{"subject": f"s{number % 997}"} for number in range(start, start + PART)]
                index.add(keys, part(start), rows)

        built = observe(build)
        del index
        opened = observe(lambda: open_index(Path(folder) / "index"))
        found = opened.result
        other = faiss.IndexFlatIP(CHANNELS)
        held = observe(lambda: [other.add(part(start)) for start in range(0, count, PART)])
        name = f"{count:,} x {CHANNELS}"
        say(f"build, {name}", "ms", (built.milliseconds, built.peak_mib), (held.milliseconds, 0))
        for size in (1, len(queries)):
            asked = queries[:size]
            answer = observe(lambda asked=asked: found.search(asked, K))
            places = other.search(asked, K)[1]
            expected = [[f"item {place}" for place in row] for row in places]
            keys = [[match.key for match in row] for row in answer.result]
            agree = np.mean([len(set(a) & set(b)) / K for a, b in zip(keys, expected, strict=True)])
            if agree < 0.999:
                raise SystemExit(f"the two found different items: {agree:.4f} agree")
            ours = timed(lambda asked=asked: found.search(asked, K), rounds) / size
            peer = timed(lambda asked=asked: other.search(asked, K), rounds) / size
            what = "one query" if size == 1 else f"a query, {size} at once"
            memory = opened.peak_mib + answer.peak_mib
            say(f"exact search, {name}, {what}", "ms", (ours, memory), (peer, held.peak_mib))


if __name__ == "__main__":
    main()
