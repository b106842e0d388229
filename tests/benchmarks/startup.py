"""How long a user waits for the first answer: processor time of whole commands, ours alone.

Each figure is a process of its own, started anew: user and system time until it ends, on a warm
disk, with bytecode compiled as `make` does. Rounds alternate between the cases; a figure is the
median. There is no peer: `import torch` is measured beside them, below which no command with torch
can go.

    python tests/benchmarks/startup.py [--quick]

Needs Linux.
"""

import argparse
import compileall
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

ROOT = Path(__file__).resolve().parents[2]
SIZE = 256
GOALS = {
    "first mask of one 256 x 256 picture, methods chosen": 10.0,
    "first mask of one 256 x 256 picture, one model": 4.0,
    "wrong mask": 1.0,
    "missing file": 1.0,
}
"""Seconds of processor time that are aimed at."""


def draw(folder: Path) -> None:
    """Two noisy pictures with a bright disc each, a mask, and one of another size."""
    generator = np.random.default_rng(0)
    rows, columns = np.mgrid[:SIZE, :SIZE]
    for number in range(2):
        disc = (rows - 100 - 30 * number) ** 2 + (columns - 120) ** 2 < 40**2
        picture = 60 + 120 * disc[..., None] + generator.normal(0, 15, (SIZE, SIZE, 3))
        Image.fromarray(picture.clip(0, 255).astype(np.uint8)).save(folder / f"{number}.png")
        Image.fromarray(disc.astype(np.uint8) * 255).save(folder / f"mask_{number}.png")
    Image.fromarray(disc[:100].astype(np.uint8) * 255).save(folder / "wrong.png")


def segment(mask: str, query: str = "1.png") -> list[str]:
    paths = ["--support", "0.png", "--mask", mask, "--query", query, "--out", "out"]
    return ["-m", "fewshot.cli.main", "segment", *paths]


CASES: dict[str, tuple[list[str], int]] = {
    "first mask of one 256 x 256 picture, methods chosen": (segment("mask_0.png"), 0),
    "first mask of one 256 x 256 picture, one model": (
        [*segment("mask_0.png"), "--predictor", "end-to-end"],
        0,
    ),
    "wrong mask": (segment("wrong.png"), 2),
    "missing file": (segment("mask_0.png", "nothing.png"), 2),
    "fewshot --help": (["-m", "fewshot.cli.main", "--help"], 0),
    "import torch": (["-c", "import torch"], 0),
}
"""The arguments of Python, and the exit code that is expected."""


def measure(arguments: list[str], expected: int, folder: Path) -> tuple[float, float]:
    """Run once; seconds of processor time, and the peak of resident memory in MiB."""
    shutil.rmtree(folder / "out", ignore_errors=True)
    process = subprocess.Popen(
        [sys.executable, *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    said = process.stderr.read().decode(errors="replace")
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    process.stderr.close()
    if process.returncode != expected:
        raise RuntimeError(f"{arguments} ended with {process.returncode}: {said}")
    if expected == 0 and "out" in arguments and not (folder / "out" / "summary.json").exists():
        raise RuntimeError(f"{arguments} wrote no summary: {said}")
    return usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="fewer rounds: within 50 seconds")
    rounds, budget = (5, 45.0) if parser.parse_args().quick else (15, 600.0)
    for package in ("fewshot", "episodes"):
        compileall.compile_dir(ROOT / package, quiet=1)
    seen: dict[str, list[tuple[float, float]]] = {name: [] for name in CASES}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        draw(folder)
        start = time.monotonic()
        for number in range(rounds + 1):  # the first, which warms the disk, is not counted
            begun = time.monotonic()
            for case, (arguments, expected) in CASES.items():
                figure = measure(arguments, expected, folder)
                if number:
                    seen[case].append(figure)
            now = time.monotonic()
            if number and now - start + (now - begun) > budget:
                break
    for case, figures in seen.items():
        seconds, memory = (statistics.median(column) for column in zip(*figures, strict=True))
        line = {
            "name": f"startup: {case}",
            "unit": "s of processor time",
            "ours": round(seconds, 2),
            "peer": None,
            "peer_value": None,
            "ratio": None,
            "peak_mib_ours": round(memory, 1),
            "peak_mib_peer": None,
            "rounds": len(figures),
            "goal": GOALS.get(case),
        }
        sys.stdout.write(json.dumps(line) + "\n")


if __name__ == "__main__":
    main()
