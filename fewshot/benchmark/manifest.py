"""What a folder of cells and models was made with; a command with other settings is refused."""

import json
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from episodes.catalog.catalog import Catalog
from episodes.errors import DataError
from episodes.io.write import write_json
from episodes.plugins import plugin_of
from fewshot.benchmark.methods import FEATURE_GRID, Recipe, baselines_of, grid_of
from fewshot.benchmark.settings import Benchmark
from fewshot.experiments.options import Train
from fewshot.experiments.runs import flatten
from fewshot.models.levels import strides_of
from fewshot.registry import BASELINES, HEADS, PREDICTORS

NAME, FORMAT = "benchmark-settings.json", 1
_KEPT = ("way", "shot", "mix", "head", "backbone", "size", "model", "train")
_FREE = ("seed", "workers", "checkpoint_seconds", "checkpoint_steps")
"""Settings of training that change no number, but for the seed, which every cell names."""

Section = dict[str, Any]


def resolve(command: Benchmark, catalog: Catalog, recipes: Iterable[Recipe]) -> dict[str, Section]:
    """List what the numbers of a folder depend on: of the data, and of every method.

    Methods, protocols, folds, supports and seeds themselves are not among it: each cell is computed
    by itself, so that a later command may ask for more of them.
    """
    recipes = list(recipes)
    size, stride = grid_of(recipes)
    sections: dict[str, Section] = {
        "benchmark": {
            "data": catalog.fingerprint,
            "fold_count": command.fold_count,
            "novel": list(command.novel),
        },
        FEATURE_GRID: {"size": size, "stride": stride},
        **{recipe.name: _describe(recipe, command) for recipe in recipes},
        **_baselines(command),
    }
    return json.loads(json.dumps(sections, default=str))


def _baselines(command: Benchmark) -> dict[str, Section]:
    """Describe the baselines that have settings, or are of a plugin."""
    found: dict[str, Section] = {}
    for name in baselines_of(command.methods):
        registry = BASELINES if name in BASELINES else PREDICTORS
        section: Section = {}
        if registry is PREDICTORS:
            section["settings"] = asdict(PREDICTORS[name].Settings())
        if plugin := plugin_of(registry.module_of(name)):
            section["plugin"] = plugin.sha256
        if section:
            found[name] = section
    return found


def settle(folder: Path, sections: dict[str, Section]) -> None:
    """Compare settings with those of the folder, and remember methods that it did not have.

    Raises:
        DataError: one differs, or the file is damaged.
    """
    stored = _read(folder / NAME)
    for section, mine in sections.items():
        theirs = stored.get(section, mine)
        for name in {**theirs, **mine}:
            if theirs.get(name) != mine.get(name):
                raise DataError(
                    f"{folder} holds a benchmark whose {section} has {name} "
                    f"{_shown(theirs.get(name))}, and in this command it is "
                    f"{_shown(mine.get(name))}; give the same, or choose another --out"
                )
    if sections.keys() - stored.keys():
        write_json(folder / NAME, {"format": FORMAT, "sections": {**stored, **sections}})


def _describe(recipe: Recipe, command: Benchmark) -> Section:
    content: Section = {"trainer": recipe.trainer, "test": dict(recipe.test)}
    content |= {name: getattr(recipe.command, name) for name in ("head", "backbone", "size")}
    content["strides"] = strides_of(recipe.command.backbone, recipe.command.strides)
    plugin = plugin_of(HEADS.module_of(recipe.command.head))
    if plugin is not None:
        content["plugin"] = plugin.sha256
    if recipe.among:
        content["among"] = {name: list(values) for name, values in recipe.among.items()}
        if command.choices is not None:
            content["choices"] = "taken"
    if recipe.training is not None:
        content["training"] = _training(recipe.training)
    return flatten(content)


def _training(command: Train) -> Section:
    content = asdict(command)
    kept = {name: content[name] for name in _KEPT}
    kept["strides"] = strides_of(command.backbone, command.strides)
    kept["train"] = {name: v for name, v in content["train"].items() if name not in _FREE}
    return kept


def _read(path: Path) -> dict[str, Section]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if content["format"] != FORMAT:
            raise ValueError(f"its format is not {FORMAT}")
        return {name: _present_names(section) for name, section in content["sections"].items()}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(f"{path} cannot be used ({error!r}); choose another --out") from error


def _present_names(section: Section) -> Section:
    """Bring a section of an earlier version to the present names of settings."""
    old, new = "training.sources.", "training.mix."
    return {name.replace(old, new): value for name, value in section.items()}


def _shown(value: Any) -> str:
    return str(value)[:16] if isinstance(value, str) else json.dumps(value)
