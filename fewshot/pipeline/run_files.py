"""A pipeline over files: masks, tables and a report, in a folder that a stopped run goes on in."""

import json
import platform
import sys
import warnings
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, TypeVar

from episodes.errors import DataError
from episodes.io import outputs
from fewshot import __version__
from fewshot.archive.answer import Answer
from fewshot.archive.batch import Batch, nothing_left
from fewshot.archive.ledger import digest, settings_hash
from fewshot.archive.queries import Query
from fewshot.lazily import lazily
from fewshot.pipeline.analyse.classes import Classes
from fewshot.pipeline.analyse.objects import Objects
from fewshot.pipeline.pipeline import LearnedPipeline, Pipeline
from fewshot.pipeline.result import PipelineResult
from fewshot.pipeline.tables import write_table
from fewshot.pipeline.yaml_file import dump_pipeline, save_pipeline, step_values

page = lazily("fewshot.pipeline.report.page")

Result = TypeVar("Result")

PIPELINE, OBJECTS, SUMMARY, REPORT = "pipeline.yaml", "objects.csv", "summary.csv", "report.html"
_LIBRARIES = ("numpy", "scipy", "scikit-image", "scikit-learn", "torch", "SimpleITK")


def run_files(pipeline: Pipeline, queries: Sequence[Query], out: Path) -> int:
    """Run a pipeline on files; one that fails is recorded, and does not stop the others.

    Args:
        pipeline: whose annotated images are files.
        queries: from `fewshot.archive.queries.list_queries`.
        out: folder that gets for every image a mask, an overlay and a JSON file with its tables,
            and pipeline.yaml, objects.csv (where the pipeline has the step objects), summary.csv
            (one row an image and class), summary.json and report.html.

    Returns:
        0.

    Raises:
        DataError: the annotated images cannot be used; or images failed, after all others were
            done and everything was written.
    """
    if not pipeline.of(Classes):
        pipeline = Pipeline(
            (*pipeline.steps, Classes()), pipeline.name, pipeline.axes, pipeline.channels
        )
    guard = outputs.current()
    for path in pipeline.files():
        guard.reads(path)
    supports = pipeline.read()
    plain = dump_pipeline(pipeline, out)
    files = list(pipeline.files())
    settings = settings_hash({"pipeline": _without_paths(pipeline)}, files)
    own = [PIPELINE, SUMMARY, REPORT, *([OBJECTS] if pipeline.of(Objects) else [])]
    batch = Batch(queries, out, settings, own, max(supports[0].values), details=("tables",))
    about = {
        "pipeline": plain,
        "versions": versions(),
        "inputs": [{"file": path.name, "sha256": digest(path)} for path in files],
        "classes": dict(zip(supports[0].names, supports[0].values, strict=True)),
    }
    save_pipeline(pipeline, out / PIPELINE)
    answer: Answer = nothing_left
    if batch.to_do:
        learned, about["warnings"] = _heard(lambda: pipeline.learn(supports))
        answer = _answer(learned, {query.path: query.name.as_posix() for query in queries})
    else:
        about = batch.earlier_metadata() or about
    try:
        batch.run(answer, about)
    finally:
        if sys.exc_info()[0] in (None, DataError):  # some images failed, and the others are done
            _write_tables(pipeline, batch, about)
    print(f"tables and report: {out / REPORT}")
    return 0


def _answer(learned: LearnedPipeline, names: Mapping[Path, str]) -> Answer:
    """Run a pipeline on a file, and keep its tables and what was warned of."""

    def answer(path: Path) -> tuple[PipelineResult, dict[str, Any]]:
        found, warned = _heard(lambda: learned.run(path))
        tables = {
            name: [{**row, "image": names[path]} for row in rows]
            for name, rows in found.tables.items()
        }
        more = {
            "image": names[path],
            "sha256": digest(path),
            "notes": list(dict.fromkeys([*found.notes, *warned])),
            "plane": found.plane,
            "tables": tables,
        }
        return found, more

    return answer


def _heard(work: Callable[[], Result]) -> tuple[Result, list[str]]:
    """Do work, and return the warnings that it gave, which are shown as well."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        result = work()
    for each in caught:
        warnings.warn_explicit(each.message, each.category, each.filename, each.lineno)
    return result, list(dict.fromkeys(" ".join(str(each.message).split()) for each in caught))


def versions() -> dict[str, str]:
    """List the versions of this package and of those that its results depend on."""
    found = {"fewshot-segmentation": __version__, "python": platform.python_version()}
    for name in _LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def _write_tables(pipeline: Pipeline, batch: Batch, about: dict[str, Any]) -> None:
    rows, out = batch.all_rows(), batch.out
    for name, table in ((SUMMARY, "classes"), (OBJECTS, "objects")):
        if table == "classes" or pipeline.of(Objects):
            write_table(out / name, out, rows, table)
    failed = [batch.failed[q.path] for q in batch.queries if q.path in batch.failed]
    paths = {
        row["mask"]: query.path
        for query in batch.queries
        if (row := batch.rows.get(query.path)) is not None
    }
    page.write_report(out / REPORT, pipeline, rows, paths, failed, about)


def _without_paths(pipeline: Pipeline) -> str:
    """What results depend on beside the contents of files, wherever these lie."""
    return json.dumps(
        [(type(step).__qualname__, repr(_values(step))) for step in pipeline.steps]
        + [pipeline.axes, list(pipeline.channels)]
    )


def _values(step: Any) -> dict[str, Any]:
    values = step_values(step)
    return {key: value for key, value in values.items() if key not in ("support", "mask", "model")}
