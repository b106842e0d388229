"""`fewshot suite`: predictors x kinds of picture x numbers of annotated images -> one table."""

import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import groupby
from typing import Any

from tqdm import tqdm

from episodes.catalog.catalog import Catalog
from episodes.errors import DataError, FewshotError, shorten
from episodes.io.write import make_folder
from episodes.plugins import loaded_plugins, plugin_of
from episodes.protocols.base import Case, Protocol
from episodes.protocols.few_images import FewImagesSettings, few_images
from fewshot import recipes
from fewshot.benchmark.suite import tables
from fewshot.benchmark.suite.aggregate import COPY_MASK
from fewshot.benchmark.suite.cells import Cell, CellFile, cell_file
from fewshot.benchmark.suite.settings import Suite
from fewshot.benchmark.suite.tasks import Failure, read_tasks
from fewshot.evaluation import results
from fewshot.evaluation.confusion_counts import GroundTruth
from fewshot.evaluation.few_image_scores import CaseScore, score_case
from fewshot.inference.predictors.build import build_predictor, needs_network
from fewshot.inference.self_configuration.candidates import CANDIDATES
from fewshot.models.checkpoint import build_network, load_network
from fewshot.provenance import typed_command
from fewshot.registry import PREDICTORS

_METHODS = "self-configuring"  # the predictor whose methods are columns of their own


@dataclass(frozen=True)
class _Built:
    """A predictor, and what its scores depend on."""

    predictor: Any
    about: dict[str, Any]


@dataclass(frozen=True)
class _Job:
    """One cell to be computed, or found."""

    predictor: str
    case: Case
    file: CellFile
    score: CaseScore | None

    def cell(self, task: str, score: CaseScore) -> Cell:
        """Give the scores their place."""
        draw = int(self.case.run.removeprefix("draw "))
        return Cell(task, self.predictor, len(self.case.plan.support[0]), draw, score)


def suite(command: Suite) -> int:
    """Score every predictor on every task, print the table, write it.

    Raises:
        DataError: options do not fit, no task is left, or some failed (after all others).
    """
    started = time.monotonic()
    if command.headline and len(tables.shots_of(command)) > 1:
        raise DataError(
            f"--headline {command.headline} names one mean, and --shots asks for "
            f"{len(tables.shots_of(command))}; give one number"
        )
    path = command.result or command.out / "suite.json"
    for folder in (command.out, path.parent):
        make_folder(folder)
    built = _build(command)
    catalogs, laid, failed = _lay(command)
    _check_development(command, laid, failed)
    cells = _work(built, catalogs, _jobs(command, built, laid), failed)
    scored = {cell.task for cell in cells}
    kept = {name: protocol for name, protocol in laid.items() if name in scored}
    if not kept:
        raise DataError(f"no task is left: {_reasons(failed)}")
    about = {
        "commands": [typed_command()],
        **results.dated(),
        "plugins": [plugin.content() for plugin in loaded_plugins()],
        "seconds": round(time.monotonic() - started, 1),
    }
    settings = {name: each.about for name, each in built.items()}
    found = tables.content(command, cells, kept, settings, failed, about)
    tables.write(path, found)
    print(tables.text(found))
    print(f"tables in {path.with_suffix('')}.json and .md")
    if failed:
        raise DataError(f"{len(failed)} failed, all others are in {path}: {_reasons(failed)}")
    return 0


def _build(command: Suite) -> dict[str, _Built]:
    """Build every predictor once; the network is loaded only if one needs it."""
    if not command.predictors:
        raise DataError("--predictors is empty; name at least one")
    chosen = {
        name: recipes.predictor_at_test(name)
        for name in dict.fromkeys((*command.predictors, COPY_MASK))
    }
    methods = CANDIDATES if command.methods == ("all",) else command.methods
    chosen |= {f"method {name}": (_METHODS, {"method": (name,)}) for name in methods}
    network = None
    if any(needs_network(predictor) for predictor, _ in chosen.values()):
        network = load_network(command.model) if command.model else build_network()
    elif command.model is not None:
        raise DataError("no predictor uses a model; leave out --model")
    built = {}
    for name, (predictor, values) in chosen.items():
        model = network if needs_network(predictor) else None
        made = build_predictor(model, predictor, values)
        about = {
            "settings": asdict(made.settings),
            "model": model.fingerprint() if model is not None else None,
        }
        if plugin := plugin_of(PREDICTORS.module_of(predictor)):
            about["plugin"] = plugin.sha256
        built[name] = _Built(made, about)
    return built


def _lay(command: Suite) -> tuple[dict[str, Catalog], dict[str, Protocol], dict[str, str]]:
    """Read the tasks and draw their cases; those that fail are reported."""
    settings = FewImagesSettings(
        tuple(tables.shots_of(command)), command.supports, command.queries, command.seed
    )
    catalogs: dict[str, Catalog] = {}
    laid: dict[str, Protocol] = {}
    failed: dict[str, str] = {}
    for task in tqdm(read_tasks(command), desc="tasks", disable=not sys.stderr.isatty()):
        if isinstance(task, Failure):
            _fail(failed, task.name, task.reason)
            continue
        try:
            laid[task.name] = few_images(task, settings)
            catalogs[task.name] = task
        except FewshotError as error:
            _fail(failed, task.name, str(error))
    return catalogs, laid, failed


def _check_development(
    command: Suite, laid: Mapping[str, Protocol], failed: Mapping[str, str]
) -> None:
    known = [*laid, *failed]
    if unknown := [name for name in command.development if name not in known]:
        raise DataError(
            f"--development names {shorten(unknown)}, which is no task; expected some of "
            f"{shorten(known, 60)}"
        )
    if laid and not set(laid) - set(command.development):
        raise DataError(
            "every task is named by --development, so that none is left for the headlines; leave "
            "some out"
        )


def _jobs(
    command: Suite,
    built: Mapping[str, _Built],
    laid: Mapping[str, Protocol],
) -> dict[str, list[_Job]]:
    """List the cells of every task, with the scores of those that were computed before.

    Raises:
        DataError: a file of scores is damaged, or of another command.
    """
    jobs: dict[str, list[_Job]] = {}
    for task, protocol in laid.items():
        jobs[task] = []
        for name, each in built.items():
            for case in protocol.cases:
                fingerprint = protocol.test.fingerprint
                file = cell_file(command.out, task, fingerprint, case, name, each.about)
                jobs[task].append(_Job(name, case, file, file.read()))
    return jobs


def _work(
    built: Mapping[str, _Built],
    catalogs: Mapping[str, Catalog],
    jobs: Mapping[str, list[_Job]],
    failed: dict[str, str],
) -> list[Cell]:
    """Compute every cell that is not there yet, task by task; a predictor may fail on a task."""
    found: list[Cell] = []
    total = sum(map(len, jobs.values()))
    if there := sum(job.score is not None for of_task in jobs.values() for job in of_task):
        print(f"{there} of {total} cases were scored before")
    with tqdm(total=total, desc="cases", disable=not sys.stderr.isatty()) as progress:
        for task, of_task in jobs.items():
            truth, cells = GroundTruth(catalogs[task]), []
            for name, of_predictor in groupby(of_task, key=lambda job: job.predictor):
                try:
                    cells += _cells(task, of_predictor, built[name].predictor, truth, progress)
                except FewshotError as error:
                    _fail(failed, f"{name} on {task}", str(error))
            found += cells
            if cells:
                tqdm.write(_done(task, cells))
    return found


def _cells(
    task: str, jobs: Iterable[_Job], predictor: Any, truth: GroundTruth, progress: tqdm
) -> list[Cell]:
    """Compute the cells of a predictor on a task, all or none: means are of the same draws."""
    cells = []
    for job in jobs:
        score = job.score
        if score is None:
            score = score_case(predictor, job.case.plan, truth)
            job.file.write(score)
        cells.append(job.cell(task, score))
        progress.update()
    return cells


def _done(task: str, cells: Sequence[Cell]) -> str:
    """Tell the mean Dice of every predictor on a task, over all images and draws."""
    means: dict[str, list[float]] = {}
    for cell in cells:
        for query in cell.score.queries:
            if query.mean == query.mean:
                means.setdefault(cell.predictor, []).append(100 * query.mean)
    words = (f"{name} {sum(each) / len(each):.1f}" for name, each in means.items())
    return f"{task}: {', '.join(words)}"


def _fail(failed: dict[str, str], name: str, reason: str) -> None:
    failed[name] = reason
    tqdm.write(f"{name} failed: {reason}", file=sys.stderr)


def _reasons(failed: Mapping[str, str]) -> str:
    return "; ".join(f"{name}: {reason}" for name, reason in failed.items())
