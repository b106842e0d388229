"""`fewshot score`: masks that any tool made, held against true ones."""

from pathlib import Path
from typing import Any

from episodes.catalog.class_names import parse_names
from episodes.errors import DataError
from episodes.io.write import make_folder
from episodes.masks.label_map import LabelMap, read_label_map
from episodes.readers.naming import subject_of
from fewshot.cli.score_options import Score
from fewshot.evaluation.mask_table import distance_penalties, mask_table, table_notes
from fewshot.evaluation.score_masks import MaskReading, MaskScorer, find_pairs
from fewshot.metrics.mask_scores import OBJECT_METRICS, check_metrics
from fewshot.metrics.report import Report
from fewshot.metrics.tables import markdown_table, text_table
from fewshot.provenance import typed_command


def score(command: Score) -> int:
    """Score every pair of files, print the table, write scores and cases."""
    check_metrics(command.scores.metrics)
    label_map = _label_map(command)
    pairs, notes = find_pairs(command.predictions, command.truth, command.missing)
    reading = MaskReading(
        label_map, command.instances, command.reading.ignore_affine, command.spacing
    )
    scorer = MaskScorer(pairs, reading)
    for note in [*notes, *scorer.notes]:
        print(f"note: {note}")
    names = [*command.scores.metrics, *(OBJECT_METRICS if command.instances else ())]
    cases = list(scorer.cases(command.scores.metrics, command.scores.tolerance))
    report = Report(distance_penalties(names, max(case.diagonal for case in cases)))
    for case in cases:
        subject = subject_of(case.name, command.reading.subject_pattern)
        for target, scores in case.scores.items():
            report.add(case.name, subject, scores, target=target)
    columns, rows = mask_table(report, names, scorer.unit)
    lines = table_notes(report, scorer.unit)
    print("\n".join([*text_table(columns, rows, right=range(1, len(columns))), *lines]))
    if command.out is not None:
        about = {
            "command": typed_command(),
            "predictions": command.predictions.resolve().name,
            "truth": command.truth.resolve().name,
            "distances": scorer.unit,
            "tolerance": command.scores.tolerance,
            "notes": [*notes, *scorer.notes],
        }
        _write(command.out, report, about, [*markdown_table(columns, rows), "", *lines, ""])
        print(f"scores in {command.out}")
    return 0


def _label_map(command: Score) -> LabelMap | None:
    folder = command.truth if command.truth.is_dir() else command.truth.parent
    label_map = parse_names(command.reading.classes) or read_label_map(folder)
    if command.instances and label_map is not None and not isinstance(label_map, str):
        raise DataError(
            f"with --instances the values number objects, but they have the names "
            f"{dict(label_map)}; expected one name for all of them: --classes NAME"
        )
    return label_map


def _write(folder: Path, report: Report, about: dict[str, Any], lines: list[str]) -> None:
    make_folder(folder)
    report.save(folder, about, lines)
