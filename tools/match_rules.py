r"""Compare rules that choose supports for whole volumes, and measure "match, then segment".

    python tools/match_rules.py DATA --models FOLDER --out runs/rules \
        [--recipe volume-registered] [--folds 0 1] [--supports 0 5] [--rules matched random] \
        [--classes 1=liver ...] [--result matching.json] [--volumes chaos.json]

One annotated volume (for "matched, three slices", three slices of it) segments every slice of every
query volume of a fold. The truth of the queries chooses nothing, but for the oracle. --models holds
one trained model a fold, as `fewshot benchmark --out` makes them. All rules have one encoder and
one refinement, that of the recipe at test time. What is computed lies in --out and is not computed
again. --supports are places after the fold, as in `alpnet`; 0 is the published support scan.
"""

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from fewshot.evaluation.registered_volume_predictor import RegisteredVolumePredictor

from episodes.catalog.catalog import Catalog
from episodes.catalog.class_areas import compute_class_areas
from episodes.catalog.class_names import parse_names
from episodes.errors import DataError
from episodes.io.write import make_folder, write_json
from episodes.protocols.base import Protocol
from episodes.protocols.full_volume import FullVolumeSettings, full_volume
from episodes.protocols.whole_volumes import whole_volumes
from episodes.readers import read_catalog
from fewshot import recipes
from fewshot.benchmark.aggregate import differences
from fewshot.evaluation import results
from fewshot.evaluation.confusion_counts import (
    CasePredictor,
    CopyMask,
    GroundTruth,
    count_protocol,
    pool_by_subject,
)
from fewshot.evaluation.protocol_results import ProtocolResult, count_line, read_count
from fewshot.evaluation.retrieved_support_predictor import (
    Pooled,
    RetrievedSupportPredictor,
    Rule,
    aligned,
    appearance,
    at_random,
    oracle_overlap,
    proportional_place,
)
from fewshot.experiments.run_record import commands_of, read_split
from fewshot.inference.postprocessing.settings import PostprocessSettings
from fewshot.inference.segmenter import Segmenter
from fewshot.metrics import tables
from fewshot.models.checkpoint import load_network
from fewshot.provenance import measured_on, typed_command

COPY, PROPORTIONAL, MATCHED, THREE = (
    "copy-mask",
    "proportional",
    "matched",
    "matched, three slices",
)
HEADLINES = {
    "chaos_volume_dice_matched": MATCHED,
    "chaos_volume_dice_proportional": PROPORTIONAL,
    "chaos_volume_dice_random": "random",
    "chaos_volume_dice_oracle": "oracle",
}
VOLUMES = {"s1_whole_volume_1_volume": MATCHED, "s1_whole_volume_3_slices": THREE}
Made = Callable[[GroundTruth, Segmenter, PostprocessSettings], CasePredictor]


def _choosing(rule: Callable[[GroundTruth, Segmenter], Rule]) -> Made:
    return lambda truth, segmenter, postprocess: RetrievedSupportPredictor(
        truth, segmenter.network, rule(truth, segmenter), postprocess=postprocess
    )


RULES: dict[str, Made] = {
    COPY: lambda truth, segmenter, postprocess: CopyMask(truth),
    MATCHED: RegisteredVolumePredictor,
    THREE: RegisteredVolumePredictor,
    PROPORTIONAL: _choosing(lambda truth, segmenter: proportional_place),
    "oracle": _choosing(lambda truth, segmenter: oracle_overlap(truth)),
    "random": _choosing(lambda truth, segmenter: at_random(0)),
    "untrained nearest": _choosing(
        lambda truth, segmenter: appearance(Pooled(truth, Segmenter().network), 0.0)
    ),
    "nearest": _choosing(
        lambda truth, segmenter: appearance(Pooled(truth, segmenter.network), 0.0)
    ),
    "shifted": _choosing(lambda truth, segmenter: aligned(Pooled(truth, segmenter.network))),
}
"""Copy-mask pastes the proportional slice, as in the protocol itself."""


def main() -> None:
    """Compute what is missing, print a table, write results."""
    options = read_options()
    catalog = compute_class_areas(
        read_catalog(options.data, label_map=parse_names(tuple(options.classes)))
    )
    found: dict[str, ProtocolResult] = {}
    spent = 0.0
    for rule in options.rules:
        registered, counts = [], []
        for fold in options.folds:
            for support in options.supports:
                protocol = build(catalog, fold, support, rule)
                registered.append(protocol)
                stored = cell(options, catalog, protocol, rule, fold, support)
                counts += [read_count(line) for line in stored["counts"]]
                spent += stored.get("seconds", 0.0)
        found[rule] = ProtocolResult("full-volume", rule, tuple(registered), tuple(counts))
        row = found[rule].row()
        print(json.dumps({"rule": rule, "dice": row["mean"], "ci95": row["ci95"]}), flush=True)
    for path, names in ((options.result, HEADLINES), (options.volumes, VOLUMES)):
        if path is not None:
            write(path, names, found, options, spent)


def read_options() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--models", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--recipe", default="volume-registered")
    parser.add_argument("--folds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    parser.add_argument("--supports", type=int, nargs="+", default=[0])
    parser.add_argument("--rules", nargs="+", default=list(RULES), choices=list(RULES))
    parser.add_argument("--classes", nargs="*", default=[])
    parser.add_argument("--result", type=Path)
    parser.add_argument("--volumes", type=Path)
    return parser.parse_args()


def build(catalog: Catalog, fold: int, support: int, rule: str) -> Protocol:
    """Lay the protocol over the data: the same queries and supports for every rule."""
    annotated = "slices" if rule == THREE else "volume"
    settings = FullVolumeSettings(fold=fold, support=support, annotated=annotated)
    protocol = full_volume(catalog, settings)
    return protocol if rule == COPY else whole_volumes(protocol, catalog)


def cell(
    options: argparse.Namespace,
    catalog: Catalog,
    protocol: Protocol,
    rule: str,
    fold: int,
    support: int,
) -> dict[str, Any]:
    """Counts of one rule, fold and support scan: those stored, or computed now."""
    started = time.monotonic()
    path = options.out / rule.replace(", ", "_").replace(" ", "_") / f"{fold}_{support}.json"
    model = model_of(options.models, fold)
    about = {"hash": protocol.hash, "recipe": options.recipe, **measured_on(model)}
    if path.exists():
        stored = json.loads(path.read_text(encoding="utf-8"))
        if {name: stored.get(name) for name in about} != about:
            raise DataError(
                f"{path} was computed for other cases or another model; choose another --out"
            )
        return stored
    segmenter = Segmenter(load_network(model))
    check_unseen(model, protocol)
    settings = recipes.settings_at_test(options.recipe)
    postprocess = PostprocessSettings(**{k: v for k, v in settings.items() if k != "fuse"})
    truth = GroundTruth(catalog)
    counts = pool_by_subject(
        count_protocol(protocol, RULES[rule](truth, segmenter, postprocess), truth)
    )
    make_folder(path.parent)
    lines = [count_line(count) for count in counts]
    content = {**about, "seconds": round(time.monotonic() - started, 1), "counts": lines}
    write_json(path, content)
    return content


def model_of(models: Path, fold: int) -> Path:
    """Find the model of a fold.

    Raises:
        DataError: there is none, or there are several.
    """
    found = sorted(models.glob(f"*_none_fold{fold}_*"))
    if len(found) != 1:
        raise DataError(
            f"{models} holds {len(found)} models of fold {fold}; expected one, which `fewshot "
            "benchmark --training-exclusion keep --seeds 0` makes"
        )
    return found[0]


def check_unseen(model: Path, protocol: Protocol) -> None:
    """Refuse a model that was trained on a query of the protocol."""
    queries = {subject for case in protocol.cases for subject in case.plan.query_subjects}
    seen = queries & set(read_split(model)["train_subjects"])
    if seen:
        raise DataError(f"{model} was trained on {sorted(seen)}, which are tested here")


def write(
    path: Path,
    names: dict[str, str],
    found: dict[str, ProtocolResult],
    options: argparse.Namespace,
    spent: float,
) -> None:
    """Put the table and its headlines into a result file in parts."""
    scored = {
        rule: each for rule, each in found.items() if rule != THREE or THREE in names.values()
    }
    rows = {rule: each.content() for rule, each in scored.items()}
    order = {PROPORTIONAL: None, **dict.fromkeys(scored)} if PROPORTIONAL in scored else scored
    apart = differences({rule: scored[rule] for rule in order})
    classes = list(next(iter(rows.values()))["by_class"])
    head = [
        {
            "name": name,
            "value": rows[rule]["mean"],
            "ci95": rows[rule]["ci95"],
            "baseline": rows[COPY]["mean"] if COPY in rows else None,
            "unit": rows[rule]["unit"],
        }
        for name, rule in names.items()
        if rule in rows
    ]
    columns = ["rule", "Dice", "95 %", *classes, "minus proportional", "95 %", "p"]
    models = [model_of(options.models, fold) for fold in options.folds]
    part = {
        "headline": head,
        "about": "Whole volumes of "
        f"{options.data.resolve().name}, setting 1, folds {', '.join(map(str, options.folds))}, "
        f"support scans {', '.join(map(str, options.supports))} after the fold; Dice, 0 to 100, "
        "mean over scans, classes and support scans; intervals over subjects; differences are "
        "paired over subjects. Oracle looks at the query's truth to choose one support slice.",
        "commands": [*commands_of(read_split(models[0])), typed_command()],
        "seconds": round(spent, 1),
        **results.dated(),
        "tables": [
            {
                "title": "Rules that choose supports",
                "columns": columns,
                "rows": [_row(rule, rows[rule], apart[rule], classes) for rule in rows],
            }
        ],
        "models": [model.name for model in models],
        "recipe": {"name": options.recipe, **recipes.settings_at_test(options.recipe)},
        "differences": apart,
        "rows": rows,
    }
    results.add_part(path, "whole_volumes", part)


def _row(rule: str, row: dict[str, Any], apart: dict[str, Any], classes: list[str]) -> list[Any]:
    less = apart["minus_first"] or {"mean": None, "ci95": None, "p_value": None}
    shown = [tables.shown(row["by_class"].get(name), "-") for name in classes]
    mean, apart = (tables.shown(each["mean"], "-") for each in (row, less))
    ends = [[tables.shown(each, "-") for each in x["ci95"] or ()] for x in (row, less)]
    return [rule, mean, ", ".join(ends[0]), *shown, apart, ", ".join(ends[1]), less["p_value"]]


if __name__ == "__main__":
    main()
