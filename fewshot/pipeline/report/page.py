"""The page itself: what was done, what was found, with pictures, tables, units and versions."""

import time
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from episodes.io.write import atomic_write
from fewshot.inference.pixel_size import ASSUMED, UNKNOWN
from fewshot.pipeline.analyse.objects import Objects
from fewshot.pipeline.describe import first_sentence, parameters, title
from fewshot.pipeline.pipeline import Pipeline
from fewshot.pipeline.report.doubts import doubts
from fewshot.pipeline.report.markup import escape, section, table
from fewshot.pipeline.report.numbers import charts, class_table, facts, object_table, units_of
from fewshot.pipeline.report.pictures import MOST, Shown, figure
from fewshot.pipeline.report.style import STYLE
from fewshot.pipeline.tables import all_rows, rows_of

Row = Mapping[str, Any]

_NAMED = 500
"""Images that are named without a picture, files that are listed, and failures."""
_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
"""The page loads nothing and runs nothing, whatever it holds."""


def write_report(
    path: Path,
    pipeline: Pipeline,
    rows: Sequence[Row],
    sources: Mapping[str, Path],
    failed: Sequence[str],
    about: Mapping[str, Any],
) -> Path:
    """Write the report of a run as one file of HTML that needs no other.

    Args:
        path: of the file, in the folder of the run.
        pipeline: that was run.
        rows: of the run's images, see `Batch.all_rows`.
        sources: the images by their masks' names, as far as they are at hand.
        failed: messages of images that could not be segmented.
        about: of the run: versions, inputs, warnings.
    """
    out = path.parent
    classes = list(all_rows(out, rows, "classes"))
    units = units_of(classes)
    told = doubts(rows, classes, failed, about.get("warnings", ()), units)
    measured = bool(pipeline.of(Objects))
    name = pipeline.name or "Segmentation"
    shown = _chosen(rows)
    parts = [
        f"<h1>{escape(name)}</h1>",
        f'<p class="lead">Report of a segmentation, {escape(_now())}</p>',
        facts(rows, classes, failed),
        section("Before these numbers are used", _listed(told), name="warnings"),
        section("What was done", _steps(pipeline)),
        section("What was found", class_table(classes, units)),
        section("Pictures", _pictures(shown, rows, out, sources, pipeline, measured)),
    ]
    if measured:
        objects = all_rows(out, rows, "objects")
        parts.append(section("Sizes of objects", charts(out, rows, classes, units)))
        parts.append(section("Objects", object_table(objects, classes)))
    parts += [section("Failed images", _listed(failed[:_NAMED])), _again(rows, about)]
    page = (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(name)}</title><style>{STYLE}</style></head>"
        f"<body><main>{''.join(parts)}</main></body></html>\n"
    )
    with atomic_write(path) as partial:
        partial.write_text(page, encoding="utf-8")
    return path


def _now() -> str:
    now = time.localtime()
    return f"{now.tm_mday} {time.strftime('%B %Y, %H:%M', now)}"


def _listed(sentences: Sequence[str]) -> str:
    items = "".join(f"<li>{escape(sentence)}</li>" for sentence in sentences)
    return f"<ul>{items}</ul>" if items else ""


def _steps(pipeline: Pipeline) -> str:
    """List every step with what it does and its parameters."""
    items = []
    for step in pipeline.steps:
        values = "".join(
            f"<div><dt>{escape(name.replace('_', ' '))}</dt><dd>{escape(value)}</dd></div>"
            for name, value in parameters(step)
        )
        stage = "" if step.stage in title(step).lower() else step.stage
        items.append(
            f'<li><div><h3>{escape(title(step))}<span class="stage">{stage}</span></h3>'
            f"<p>{escape(first_sentence(type(step)))}</p>"
            + (f'<dl class="values">{values}</dl>' if values else "")
            + "</div></li>"
        )
    return f'<ol class="steps">{"".join(items)}</ol>'


def _chosen(rows: Sequence[Row]) -> list[Row]:
    """Choose the images that are shown: those with notes of their own first, then in order."""
    noted = [row for row in rows if _own_notes(row)]
    others = [row for row in rows if not _own_notes(row)]
    kept = {row["mask"] for row in [*noted, *others][:MOST]}
    return [row for row in rows if row["mask"] in kept]


def _own_notes(row: Row) -> list[str]:
    return [note for note in row.get("notes", ()) if note not in (ASSUMED, UNKNOWN)]


def _pictures(
    shown: Sequence[Row],
    rows: Sequence[Row],
    out: Path,
    sources: Mapping[str, Path],
    pipeline: Pipeline,
    measured: bool,
) -> str:
    figures = []
    for row in shown:
        objects = rows_of(out, row, "objects") if measured else []
        one = Shown(row, rows_of(out, row, "classes"), objects, _own_notes(row))
        figures.append(figure(one, out, sources.get(row["mask"]), pipeline.reading))
    kept = {row["mask"] for row in shown}
    others = [str(row["image"]) for row in rows if row["mask"] not in kept]
    more = f'<div class="pictures">{"".join(figures)}</div>' if figures else ""
    if others:
        named = ", ".join(escape(name) for name in others[:_NAMED])
        named += f" and {len(others) - _NAMED:,} more" if len(others) > _NAMED else ""
        more += (
            f'<details class="more"><summary>{len(others):,} further images, whose overlays lie '
            f"beside this page</summary><p>{named}</p></details>"
        )
    return more


def _again(rows: Sequence[Row], about: Mapping[str, Any]) -> str:
    """How the run can be repeated: the pipeline, the contents of files, the versions."""
    files = [
        *(
            (each["file"], "annotated image, mask or model", each["sha256"])
            for each in _files(about)
        ),
        *((str(row["image"]), "image", row.get("sha256", "")) for row in islice(rows, _NAMED)),
    ]
    listed = table("Files, by the first 32 digits of their SHA-256", _FILE_HEADS, files, words=3)
    versions = about.get("versions", {})
    named = ", ".join(f"{name} {version}" for name, version in versions.items())
    return section(
        "Run it again",
        "<p>The same pipeline on the same files gives the same masks and tables:</p>",
        "<pre>fewshot run pipeline.yaml INPUT ... --out FOLDER</pre>",
        f"<details><summary>pipeline.yaml</summary><pre>{escape(about.get('pipeline', ''))}</pre>"
        "</details>",
        f"<details><summary>Files that were read</summary>{listed}</details>",
        f"<footer>{escape(named)}</footer>",
    )


_FILE_HEADS = ("File", "Kind", "SHA-256")


def _files(about: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield from about.get("inputs", ())
