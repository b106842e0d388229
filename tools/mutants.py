"""Mutation testing: change one place of the code, run its tests, see whether they notice.

python tools/mutants.py --count 200

A seeded sample of the mutants that Cosmic Ray's operators make of AREAS is run, each in a process
forked from one that holds torch already, in a temporary copy of the tree. The tests of a module are
those of its mirrored folder, the file of its own name first, and those that import it. Exit code 1:
too many survive.
"""

import argparse
import ast
import json
import os
import shutil
import signal
import sys
import tempfile
import time
import traceback
from concurrent.futures import ProcessPoolExecutor
from functools import cache, partial
from importlib import import_module
from multiprocessing import get_context
from pathlib import Path
from typing import NoReturn

import pytest
from drawn_mutants import ROOT, Mutant, draw

AREAS = (
    "fewshot/models/heads/*.py",
    "fewshot/siamese/*.py",
    "fewshot/siamese/losses/*.py",
    "fewshot/siamese/miners/*.py",
    "fewshot/siamese/verification/*.py",
    "fewshot/losses/*.py",
    "fewshot/metrics/*.py",
    "fewshot/inference/predictors/*.py",
    "fewshot/inference/volumes/*.py",
    "episodes/sampling/*.py",
    "episodes/protocols/*.py",
)
# Folders with more tests of a folder than those of the mirrored one.
MORE_TESTS = {
    "fewshot/inference/volumes": ("tests/fewshot/inference/predictors", "tests/fewshot/evaluation"),
    "fewshot/inference/predictors": ("tests/fewshot/evaluation",),
    "fewshot/models/heads": ("tests/fewshot/inference/test_segmenter.py",),
}
COPIED = ("fewshot", "episodes", "tests", "tools", "docs", "notebooks", "pyproject.toml")
PRELOADED = (
    *("torch", "torchvision", "timm", "einops", "jaxtyping", "beartype", "hypothesis"),
    *("scipy.ndimage", "scipy.optimize", "scipy.stats", "scipy.spatial", "skimage.segmentation"),
    *("nibabel", "PIL.Image", "tifffile", "matplotlib.pyplot", "safetensors.torch", "yaml", "tqdm"),
    *("sklearn.metrics", "torchmetrics", "monai.losses", "monai.metrics", "torch.distributed"),
)
CRASHED = 70  # none of pytest's exit codes
DEFAULTS = ROOT / "tests" / "test_defaults.py"  # of every module


def tests_of(path: str) -> list[str]:
    """The test files of a module, that of its own name first, then its folder's, then others."""
    module = Path(path)
    mirrored = ROOT / "tests" / module.parent
    files = sorted(mirrored.glob("test_*.py"))
    own = [f for f in files if f.stem.startswith(f"test_{module.stem}")]
    more = [
        file
        for name in MORE_TESTS.get(str(module.parent), ())
        for file in ([ROOT / name] if name.endswith(".py") else sorted((ROOT / name).glob("t*.py")))
    ]
    importing = importing_tests().get(".".join(module.with_suffix("").parts), ())
    every = dict.fromkeys([*own, *importing, *files, *more, DEFAULTS])
    found = [str(file.relative_to(ROOT)) for file in every]
    if len(found) == 1:
        raise FileNotFoundError(f"{path} has no tests in {mirrored.relative_to(ROOT)}")
    return found


@cache
def importing_tests() -> dict[str, list[Path]]:
    """The test files that import a module, or what it defines from where that is offered."""
    found: dict[str, list[Path]] = {}
    for file in sorted((ROOT / "tests").rglob("test_*.py")):
        for name in sorted(imports_of(file)):
            found.setdefault(name, []).append(file)
    return found


def imports_of(file: Path) -> set[str]:
    """The modules of this project that a test imports from, and those that define what it takes."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        name = str(node.module) if isinstance(node, ast.ImportFrom) else ""
        if name.split(".")[0] in ("fewshot", "episodes"):
            module = import_module(name)
            things = (getattr(module, each.name, None) for each in node.names)
            found |= {name, *(getattr(each, "__module__", "") for each in things)}
    return found


def copy_tree(target: Path) -> Path:
    """Copy what tests need, without bytecode."""
    for name in COPIED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, target / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, target / name)
    return target


def become_pytest(tree: Path, files: list[str], log: Path) -> NoReturn:
    """Be the process that runs the tests, and end with pytest's exit code."""
    code = CRASHED
    try:
        os.setsid()
        os.chdir(tree)
        with log.open("w") as stream:
            os.dup2(stream.fileno(), 1)
            os.dup2(stream.fileno(), 2)
        sys.path[:] = [str(tree), *(p for p in sys.path if Path(p or ".").resolve() != ROOT)]
        os.environ["PYTHONPATH"] = os.pathsep.join(sys.path)
        options = ["-x", "-p", "no:cacheprovider", f"--basetemp={tree}/.pytest"]
        options += ["-W", "ignore::pytest.PytestAssertRewriteWarning"]  # of what is preloaded
        code = int(pytest.main([*options, *files]))
    except BaseException:
        traceback.print_exc()
    finally:  # whatever happens, this process must not go on with the work of its parent
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def run_tests(tree: Path, files: list[str], limit: float) -> str:
    """Run test files in a forked process: "passed", "failed" or "timeout"."""
    log = tree / "log.txt"
    process = os.fork()
    if process == 0:
        become_pytest(tree, files, log)
    start = time.monotonic()
    while time.monotonic() - start < limit:
        done, status = os.waitpid(process, os.WNOHANG)
        if done:
            code = os.waitstatus_to_exitcode(status)
            if code in (4, 5, CRASHED):
                raise RuntimeError(f"pytest ran no test of {files}:\n{log.read_text()}")
            return "passed" if code == 0 else "failed"
        time.sleep(0.05)
    os.killpg(process, signal.SIGKILL)
    os.waitpid(process, 0)
    return "timeout"


class Worker:
    """The copy of the tree of this process; set once in each process of the pool."""

    tree: Path

    @classmethod
    def start(cls, folder: Path) -> None:
        """Copy the tree."""
        cls.tree = copy_tree(Path(tempfile.mkdtemp(dir=folder)))


def measure(file: str) -> float:
    """Seconds that a test file takes on the code as it is, on which it must pass."""
    start = time.monotonic()
    outcome = run_tests(Worker.tree, [file], limit=1800)
    if outcome != "passed":
        log = (Worker.tree / "log.txt").read_text()
        raise RuntimeError(f"{file}: {outcome} without a mutant:\n{log}")
    return time.monotonic() - start


def forget_bytecode(file: Path) -> None:
    """Bytecode is recognised by size and second, which a mutant can share with the code."""
    for compiled in file.parent.glob(f"__pycache__/{file.stem}.*"):
        compiled.unlink()


def try_mutant(mutant: Mutant, seconds: dict[str, float]) -> str:
    """Put a mutant into the copy, run its tests, and take it out again."""
    file = Worker.tree / mutant.path
    source = file.read_text(encoding="utf-8")
    files = tests_of(mutant.path)
    forget_bytecode(file)
    file.write_text(mutant.code(source), encoding="utf-8")
    try:
        outcome = run_tests(Worker.tree, files, 60 + 4 * sum(seconds[name] for name in files))
    finally:
        file.write_text(source, encoding="utf-8")
        forget_bytecode(file)
    named = {"passed": "survived", "failed": "killed", "timeout": "timeout"}[outcome]
    print(f"{named:9}{mutant.path}:{mutant.line} {mutant.operator}", flush=True)
    return named


def try_all(mutants: list[Mutant], jobs: int, folder: Path) -> list[tuple[Mutant, str]]:
    """Measure the tests of these mutants, then run them for each, ``jobs`` at a time."""
    files = list(dict.fromkeys(name for mutant in mutants for name in tests_of(mutant.path)))
    context = get_context("fork")  # what is imported here is imported in every process
    with ProcessPoolExecutor(jobs, context, Worker.start, (folder,)) as pool:
        seconds = dict(zip(files, pool.map(measure, files), strict=True))
        print(f"{len(files)} test files pass in {sum(seconds.values()):.0f} s", flush=True)
        outcomes = pool.map(partial(try_mutant, seconds=seconds), mutants)
        return list(zip(mutants, outcomes, strict=True))


def report(results: list[tuple[Mutant, str]], floor: float) -> int:
    """Print the survivors and the share of killed ones; 1 where that is below ``floor``."""
    for mutant, outcome in results:
        if outcome == "survived":
            print("\n" + mutant.diff((ROOT / mutant.path).read_text(encoding="utf-8")))
    counts = {
        name: sum(outcome == name for _, outcome in results)
        for name in ("killed", "timeout", "survived")
    }
    share = 1 - counts["survived"] / len(results)
    print(f"\n{json.dumps(counts)}: {share:.1%} of {len(results)} mutants are noticed")
    return int(share < floor)


def main() -> int:
    """Draw, run, report."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--floor", type=float, default=0.9, help="share that must be noticed")
    parser.add_argument("--only", nargs="+", default=AREAS, help="patterns of files to change")
    parser.add_argument("--list", action="store_true", help="print the diffs, run nothing")
    options = parser.parse_args()
    mutants = draw(tuple(options.only), options.count, options.seed)
    if options.list:
        for mutant in mutants:
            print(mutant.diff((ROOT / mutant.path).read_text(encoding="utf-8")))
        return 0
    os.environ["OMP_NUM_THREADS"] = "1"
    for name in PRELOADED:
        import_module(name)
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
        results = try_all(mutants, options.jobs, Path(folder))
    return report(results, options.floor)


if __name__ == "__main__":
    sys.exit(main())
