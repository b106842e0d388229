"""`fewshot run`: a pipeline on images; what is wrong is refused before torch is imported."""

import textwrap
from collections.abc import Iterator
from dataclasses import MISSING
from typing import Any

from episodes.errors import DataError
from fewshot.archive.queries import list_queries
from fewshot.cli.descriptions import first_sentence, options_of
from fewshot.cli.options import Run
from fewshot.pipeline import examples
from fewshot.pipeline.describe import allowed, text_of
from fewshot.pipeline.run_files import run_files
from fewshot.pipeline.step import STAGES, hints_of
from fewshot.pipeline.yaml_file import load_pipeline
from fewshot.registry import STEPS

_WIDTH = 100


def run(command: Run) -> int:
    """Run a pipeline, or list the steps that there are.

    Raises:
        DataError: something is missing, the file describes no pipeline, or images failed (after
            all others were done).
    """
    if command.steps:
        print("\n".join(_step_lines()))
        return 0
    if command.example is not None:
        print(examples.text(command.example))
        return 0
    if command.pipeline is None or not command.inputs or command.out is None:
        given = {
            "PIPELINE.yaml": command.pipeline,
            "INPUT": command.inputs,
            "--out FOLDER": command.out,
        }
        missing = ", ".join(name for name, value in given.items() if not value)
        raise DataError(
            f"{missing} is missing; expected fewshot run PIPELINE.yaml INPUT ... --out FOLDER. "
            "`fewshot run --example nuclei` prints a pipeline to begin with, "
            "`fewshot run --steps` lists the steps"
        )
    pipeline = load_pipeline(command.pipeline)
    return run_files(pipeline, list_queries(command.inputs), command.out)


def _step_lines() -> Iterator[str]:
    """Describe every step and its parameters."""
    kinds = STEPS.parts()
    for stage in STAGES:
        for name, kind in kinds.items():
            if kind.stage != stage:
                continue
            yield ""
            yield from textwrap.wrap(
                f"{name} ({stage}): {first_sentence(kind)}", _WIDTH, subsequent_indent="  "
            )
            for option in options_of(kind):
                about = f"{allowed(hints_of(kind)[option.name])}; {_default(option.default)}"
                yield from textwrap.wrap(
                    f"{option.name}: {option.description} ({about})",
                    _WIDTH,
                    initial_indent="    ",
                    subsequent_indent="        ",
                )


def _default(value: Any) -> str:
    if value is MISSING:
        return "required"
    empty = value is None or value == () or value == {}
    return "optional" if empty else f"default {text_of(value)}"
