"""`fewshot benchmark`: methods x protocols x folds x supports x seeds -> one table."""

import os
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from typing import Any

from episodes.catalog.catalog import Catalog
from episodes.catalog.duplicates import find_duplicates
from episodes.errors import DataError
from episodes.io.write import make_folder
from episodes.protocols.aggregate import by_scan
from episodes.protocols.base import Protocol
from episodes.protocols.registry import ProtocolOptions, build_protocol, parse_support
from fewshot.benchmark import leakage
from fewshot.benchmark import tables as files
from fewshot.benchmark.aggregate import Found
from fewshot.benchmark.cells import Cell, Setting, cell_path, read_cell, write_cell
from fewshot.benchmark.headlines import read_headlines
from fewshot.benchmark.leakage import Leakage
from fewshot.benchmark.manifest import resolve, settle
from fewshot.benchmark.memory import forget_peak
from fewshot.benchmark.methods import (
    ALWAYS,
    COPY_MASK,
    FEATURE_GRID,
    Recipe,
    baselines_of,
    build_baseline,
    build_method,
    grid_of,
    is_baseline,
    load_for,
    read_recipe,
)
from fewshot.benchmark.model_selection import Choice, choose, taken
from fewshot.benchmark.plot import draw
from fewshot.benchmark.settings import Benchmark
from fewshot.benchmark.training import DONE, Trained, ensure_trained, model_folder
from fewshot.evaluation.confusion_counts import (
    CasePredictor,
    GroundTruth,
    Timed,
    count_protocol,
    pool_by_subject,
)
from fewshot.experiments.split import open_catalog
from fewshot.models.network import FewShotNetwork
from fewshot.provenance import MEASURED_ON, typed_command, unchanged, why_not_of
from fewshot.training.loop import peak_memory

_PLACES = ("protocols", "training_exclusion", "support")
Tested = dict[Setting, tuple[Protocol, Leakage]]


@dataclass(frozen=True)
class _Job:
    """One cell to be computed or found."""

    method: str
    recipe: Recipe | None
    setting: Setting
    seed: int | None


def benchmark(command: Benchmark) -> int:
    """Compute every cell that is not there yet, print the table, write it."""
    recipes = _check(command)
    path = command.result or command.out / "benchmark.json"
    for folder in (command.out, path.parent):
        make_folder(folder)
    catalog = open_catalog(command.data, command.dataset, masks_for="a benchmark")
    laid = _lay(command, catalog)
    places = list(dict.fromkeys((s.protocol, s.training_exclusion, s.support) for s in laid))
    further = [name for name in baselines_of(command.methods) if name not in ALWAYS]
    methods = (COPY_MASK, *(recipe.name for recipe in recipes), *further, FEATURE_GRID)
    headlines = read_headlines(command.headline, methods, places)
    tested = _check_leakage(command, catalog, laid)
    settings = resolve(command, catalog, recipes)
    settle(command.out, settings)
    jobs = list(_jobs(command, recipes, tested))
    cells, trained = _work(command, catalog, tested, jobs, grid_of(recipes))
    found = Found(methods, tested, cells, trained)
    about = {
        "data": command.data.resolve().name,
        "fingerprint": catalog.fingerprint,
        "settings": {
            "methods": [recipe.name for recipe in recipes],
            **{name: list(getattr(command, name)) for name in _PLACES},
            "folds": list(dict.fromkeys(setting.fold for setting in laid)),
            "seeds": list(command.seeds),
            "groups": list(command.groups),
            "fold_count": command.fold_count,
            "of_methods": {name: part for name, part in settings.items() if name in methods},
        },
    }
    content = files.content(found, headlines, about, [typed_command()])
    stem = files.write(path, content, command.part)
    draw(stem.with_suffix(".png"), content["results"])
    print(files.text(content))
    print(f"tables in {path.with_suffix('')}.json, .md, and {stem}.csv, picture in {stem}.png")
    return 0


def _check(command: Benchmark) -> list[Recipe]:
    """Read the methods, and refuse what makes no benchmark."""
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise DataError("a benchmark runs in one process; start it without torchrun")
    for name in (*_PLACES, "seeds"):
        if not getattr(command, name):
            raise DataError(f"--{name.replace('_', '-')} is empty; name at least one")
    if min(command.seeds) < 0:
        raise DataError(f"seeds are {command.seeds}; expected whole numbers from 0")
    own = [name for name in dict.fromkeys(command.methods) if not is_baseline(name)]
    return [read_recipe(name, command) for name in own]


def _lay(command: Benchmark, catalog: Catalog) -> dict[Setting, Protocol]:
    """Lay every protocol; those with one training catalog follow each other."""
    found = {}
    for training_exclusion, support, group, fold in _choices(command, catalog):
        classes = tuple(group.split("+")) if group else command.novel
        for name in dict.fromkeys(command.protocols):
            setting = Setting(name, training_exclusion, support, group, fold)
            choices = ProtocolOptions(
                *(fold, command.fold_count, classes),
                training_exclusion=training_exclusion,
                support=parse_support(name, support),
            )
            found[setting] = build_protocol(name, catalog, choices)
    return found


def _choices(command: Benchmark, catalog: Catalog) -> Iterator[tuple[Any, str, str, int]]:
    folds = command.folds or range(command.fold_count)
    groups = _groups(command, catalog)
    for training_exclusion in dict.fromkeys(command.training_exclusion):
        for support in dict.fromkeys(command.support):
            for group in groups:
                for fold in dict.fromkeys(folds):
                    yield training_exclusion, support, group, fold


def _groups(command: Benchmark, catalog: Catalog) -> tuple[str, ...]:
    """Groups that are spelt right and share no class; "" for all classes at once."""
    if not command.groups:
        return ("",)
    names = [name for group in command.groups for name in group.split("+")]
    catalog.of_classes([*names, *command.novel])
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice or (command.novel and set(names) != set(command.novel)):
        what = f"{twice[0]} twice" if twice else f"{', '.join(names)}"
        raise DataError(
            f"groups hold {what}; expected each tested class once, such as --groups a+b c+d"
        )
    return command.groups


def _check_leakage(command: Benchmark, catalog: Catalog, laid: dict[Setting, Protocol]) -> Tested:
    pairs = find_duplicates(catalog, progress=True) if command.duplicates else None
    return {
        setting: (protocol, leakage.check(protocol, catalog, setting.support, pairs))
        for setting, protocol in laid.items()
    }


def _jobs(command: Benchmark, recipes: list[Recipe], tested: Tested) -> Iterator[_Job]:
    """List the cells, so that one model after another is needed."""
    for name in baselines_of(command.methods):
        for setting in tested:
            yield _Job(name, None, setting, None)
    for recipe in recipes:
        seeds = dict.fromkeys(command.seeds) if recipe.training else (None,)
        for seed in seeds:
            for setting in tested:
                yield _Job(recipe.name, recipe, setting, seed)


def _work(
    command: Benchmark,
    catalog: Catalog,
    tested: Tested,
    jobs: list[_Job],
    grid: tuple[int, int],
) -> tuple[list[Cell], dict[str, Trained]]:
    truth = GroundTruth(catalog)
    cells: list[Cell] = []
    trained: dict[str, Trained] = {}
    try:
        for number, job in enumerate(jobs, start=1):
            protocol = tested[job.setting][0]
            path = cell_path(command.out, job.method, job.setting, job.seed)
            model = _model(command, catalog, protocol, job)
            cell = read_cell(path, protocol)
            if cell is not None and model is not None and (why := _of_another(cell, model)):
                print(f"{path.relative_to(command.out)} was scored again: {why}", flush=True)
                cell = None
            if cell is None:
                cell = _compute(job, protocol, model, truth, grid, command)
                write_cell(path, cell)
                mean = 100 * by_scan(cell.counts).value
                seed = "" if job.seed is None else f", seed {job.seed}"
                done = f"[{number}/{len(jobs)}] {job.method}, {job.setting}{seed}: {mean:.1f}"
                print(done, flush=True)
            cells.append(cell)
            if model is not None:
                trained[model.folder.name] = model
    except KeyboardInterrupt:
        print(
            f"stopped with {len(cells)} of {len(jobs)} cells in {command.out}; the same command "
            "goes on from there",
            file=sys.stderr,
        )
        raise
    return cells, trained


def _model(command: Benchmark, catalog: Catalog, protocol: Protocol, job: _Job) -> Trained | None:
    if job.recipe is None or job.seed is None:
        return None
    folder = model_folder(command.out, job.recipe, job.setting, protocol.train, job.seed)
    if not (folder / DONE).exists():
        print(f"training {folder.name} on {len(protocol.train)} images", flush=True)
    return ensure_trained(job.recipe, job.setting, protocol, catalog, job.seed, command)


def _compute(
    job: _Job,
    protocol: Protocol,
    model: Trained | None,
    truth: GroundTruth,
    grid: tuple[int, int],
    command: Benchmark,
) -> Cell:
    method: CasePredictor
    choice: Choice | None = None
    identity: dict[str, Any] = {}
    forget_peak()
    started = time.monotonic()
    if job.recipe is None:
        method = build_baseline(job.method, grid, truth)
    else:
        network, identity = _load(job.recipe, model)
        recipe = job.recipe
        if recipe.among:
            choice = _choice(command, job, protocol, network, truth, identity)
            recipe = replace(recipe, test=choice.settings)
            started = time.monotonic()
        method = build_method(recipe, network, truth)
    counts = pool_by_subject(count_protocol(protocol, method, truth, progress=sys.stderr.isatty()))
    peak = peak_memory()
    return Cell(
        method=job.method,
        setting=job.setting,
        seed=job.seed,
        protocol_hash=protocol.hash,
        train=protocol.train.fingerprint,
        model=model.folder.name if model else "",
        counts=tuple(counts),
        milliseconds=method.milliseconds() if isinstance(method, Timed) else None,
        peak_mib=peak if peak == peak else None,
        seconds=round(time.monotonic() - started, 2),
        chosen=choice.settings if choice else None,
        choosing_seconds=choice.seconds if choice else 0.0,
        measured_on=identity.get(MEASURED_ON),
    )


def _load(recipe: Recipe, model: Trained | None) -> tuple[FewShotNetwork, dict[str, Any]]:
    """Load what a cell scores, and what names it; of an untrained recipe nothing does."""
    if model is None:
        return load_for(recipe, None), {}
    with unchanged(model.folder) as identity:
        return load_for(recipe, model.folder), identity


def _of_another(cell: Cell, model: Trained) -> str:
    """Say why a cell is not of the model as it is now; one that was not recorded is kept."""
    return why_not_of(asdict(cell), model.folder) if cell.measured_on is not None else ""


def _choice(
    command: Benchmark,
    job: _Job,
    protocol: Protocol,
    network: FewShotNetwork,
    truth: GroundTruth,
    identity: dict[str, Any],
) -> Choice:
    """Choose settings on the training scans, or take what another benchmark chose on them."""
    assert job.recipe is not None
    if command.choices is None:
        path = cell_path(command.out, job.method, job.setting, job.seed, "choices")
        return choose(job.recipe, network, protocol, job.setting, truth, path, identity)
    setting = replace(job.setting, training_exclusion="keep", group="")
    path = cell_path(command.choices, job.method, setting, job.seed, "choices")
    return taken(job.recipe, protocol, path)
