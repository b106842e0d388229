"""The table as JSON, and as Markdown, CSV and text made of that."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from episodes.io.write import atomic_write
from fewshot.benchmark.aggregate import Found, Row
from fewshot.benchmark.headlines import Headline
from fewshot.evaluation import results
from fewshot.metrics.tables import csv_table, markdown_table, shown, text_table, with_bounds

CSV_COLUMNS = (
    *(
        "protocol",
        "training_exclusion",
        "support",
        "method",
        "unit",
        "mean",
        "low",
        "high",
        "lowest_run",
    ),
    *("highest_run", "runs", "subjects", "undefined"),
)
_DIFFERENCES = ("minus_copy_mask", "minus_first")
_COSTS = ("training_seconds", "inference_ms", "peak_mib")


def content(
    found: Found, headlines: Sequence[Headline], about: dict[str, Any], commands: list[str]
) -> dict[str, Any]:
    """Gather everything for the JSON file.

    Args:
        found: the cells.
        headlines: names of numbers.
        about: data and settings.
        commands: what has to be typed to get the result again.
    """
    rows = found.rows()
    return {
        "headline": [headline.entry(rows) for headline in headlines],
        "baseline": "copy-mask on the same cases",
        "commands": commands,
        **results.dated(),
        **about,
        "seconds": round(found.seconds(), 1),
        "results": rows,
        "leakage": [
            {
                **{
                    name: getattr(setting, name)
                    for name in ("protocol", "training_exclusion", "support")
                },
                "group": setting.group,
                "fold": setting.fold,
                "training_images": len(protocol.train),
                "train_fingerprint": protocol.train.fingerprint,
                **leakage.content(),
            }
            for setting, (protocol, leakage) in found.settings.items()
        ],
    }


def write(path: Path, content: dict[str, Any], part: str | None = None) -> Path:
    """Write the JSON, and the tables made from it as Markdown and CSV beside it.

    Args:
        path: the JSON file.
        content: see `content`.
        part: where this is one of several parts of the file, its name; CSV and picture, which hold
            one benchmark each, then have it in their names.

    Returns:
        The path of the CSV file and the picture, without its ending.
    """
    if part is not None:
        titled = {
            "Overlap, costs and differences": table(content),
            "What training and test share": _leakage_table(content),
        }
        if (chosen := _chosen_table(content))[1]:
            titled["Chosen on the training scans of each fold"] = chosen
        tables = [{"title": t, "columns": c, "rows": r} for t, (c, r) in titled.items()]
        about = {"about": explanation(content), "tables": tables}
        results.add_part(path, part, {**content, **about})
    else:
        results.write_pair(path, content, markdown(content, path.stem))
    stem = path.with_name(f"{path.stem}_{part}" if part is not None else path.stem)
    with atomic_write(stem.with_suffix(".csv")) as partial:
        partial.write_text(rows_csv(content["results"]), "utf-8")
    return stem


def rows_csv(rows: Sequence[Row]) -> str:
    """A line a row, overlaps from 0 to 100."""
    classes = _classes(rows)
    parts = ("mean", "low", "high", "p_value", "p_adjusted")
    columns = [
        *CSV_COLUMNS,
        *(f"class {name}" for name in classes),
        *(f"{name}_{part}" for name in _DIFFERENCES for part in parts),
        *(*_COSTS, "hash"),
    ]
    lines = []
    for row in rows:
        flat = {**row, "low": row["ci95"][0], "high": row["ci95"][1]}
        flat |= {f"class {name}": row["by_class"].get(name) for name in classes}
        for name in _DIFFERENCES:
            if row[name] is not None:
                apart = {**row[name], "low": row[name]["ci95"][0], "high": row[name]["ci95"][1]}
                flat |= {f"{name}_{part}": apart[part] for part in parts}
        lines.append(flat)
    return csv_table(columns, lines)


def markdown(content: dict[str, Any], name: str) -> str:
    """The table, what leaked, and what it took."""
    lines = [f"# {name}", "", explanation(content), "", *markdown_table(*table(content))]
    lines += ["", *markdown_table(*_leakage_table(content)), ""]
    if (chosen := _chosen_table(content))[1]:
        lines += [*markdown_table(*chosen), ""]
    where = content["machine"]
    lines += [
        f"{content['date']}, {where['processor']}, {where['threads']} threads, torch "
        f"{where['torch']}, {content['seconds']:.0f} s of training and scoring.",
        *("", "```", *content["commands"], "```", ""),
    ]
    return "\n".join(lines)


def explanation(content: dict[str, Any]) -> str:
    """What the numbers of the table are."""
    return (
        f"{content['data']}, folds {', '.join(map(str, content['settings']['folds']))} of "
        f"{content['settings']['fold_count']}; {content['results'][0]['unit']}: mean over runs "
        "(support scans, seeds) and folds with a 95 % bootstrap interval over subjects, the lowest "
        "and the highest run, and each class. Differences are paired over subjects; p is of the "
        "permutation test, corrected for the methods compared (Holm). feature-grid is the truth "
        "brought to the feature grid and back, no method."
    )


def table(content: dict[str, Any]) -> tuple[list[str], list[list[str]]]:
    """Columns and rows of the Markdown table."""
    rows = content["results"]
    classes = _classes(rows)
    first = content["settings"]["methods"][0] if content["settings"]["methods"] else "copy-mask"
    columns = [
        *(
            "protocol",
            "training_exclusion",
            "support",
            "method",
            "mean",
            "lowest to highest run",
            *classes,
        ),
        *("minus copy-mask (p)", f"minus {first} (p)", "training s", "ms a slice", "peak MiB"),
        "subjects",
    ]
    return columns, [
        [row["protocol"], row["training_exclusion"], row["support"], *cells(row, classes)]
        for row in rows
    ]


def text(content: dict[str, Any]) -> str:
    """The table for a terminal, protocol by protocol."""
    rows = content["results"]
    classes = _classes(rows)
    heads = ["", "mean", "runs", *classes, "- copy-mask (p)", "- first (p)"]
    lines = []
    for place in dict.fromkeys(
        (r["protocol"], r["training_exclusion"], r["support"]) for r in rows
    ):
        here = [r for r in rows if (r["protocol"], r["training_exclusion"], r["support"]) == place]
        lines += ["", "{}, training exclusion {}, support {} ({})".format(*place, here[0]["unit"])]
        columns = [*heads, "train s", "ms", "MiB", "subjects"]
        shown_rows = [cells(row, classes) for row in here]
        lines += text_table(columns, shown_rows, right=range(1, len(columns)))
        lines += [f"note: {note}" for note in here[0]["notes"]]
    return "\n".join(lines[1:])


def cells(row: Row, classes: Sequence[str]) -> list[str]:
    """What both tables show of a row, from the method's name on."""
    spread = f"{number(row['lowest_run'])} to {number(row['highest_run'])}"
    return [
        row["method"],
        with_bounds(row["mean"], *row["ci95"], missing="-"),
        "one run" if row["runs"] == 1 else spread,
        *(number(row["by_class"].get(name)) for name in classes),
        *(_difference(row[name]) for name in _DIFFERENCES),
        number(row["training_seconds"] or None),
        number(row["inference_ms"]),
        "-" if row["peak_mib"] is None else f"{row['peak_mib']:.0f}",
        str(row["subjects"]),
    ]


def number(value: float | None) -> str:
    """One decimal; a dash for what is not defined."""
    return shown(value, "-")


def _difference(apart: Row | None) -> str:
    if apart is None or apart["mean"] is None:
        return "-"
    p = apart["p_adjusted"]
    return f"{apart['mean']:+.1f}" + ("" if p is None else f" ({p:.3f})")


def _leakage_table(content: dict[str, Any]) -> tuple[list[str], list[list[str]]]:
    columns = [
        *(
            "protocol",
            "training_exclusion",
            "support",
            "fold",
            "training images",
            "subjects shared",
        ),
        *("support scans in training", "tested classes in training", "equal images"),
        "images nearly equal",
    ]
    rows = []
    for each in content["leakage"]:
        shown = [f"{name} (unlabelled, {n} images)" for name, n in each["unlabelled"].items()]
        shown += [f"{name} (labelled)" for name in each["labelled"]]
        pairs = [str(len(each[name])) if each["looked"] else "-" for name in ("equal", "alike")]
        rows.append(
            [
                *(each["protocol"], each["training_exclusion"], each["support"]),
                f"{each['fold']} {each['group']}".strip(),
                *(str(each["training_images"]), str(len(each["subjects"]))),
                *(str(len(each["supports"])), ", ".join(shown) or "none", *pairs),
            ]
        )
    return columns, rows


def _chosen_table(content: dict[str, Any]) -> tuple[list[str], list[list[str]]]:
    """What each model chose on its training scans."""
    columns = [
        "method",
        "protocol",
        "training_exclusion",
        "support",
        "fold",
        "chosen on training scans",
        "s",
    ]
    lines = []
    for row in content["results"]:
        for each in row["chosen"]:
            told = ", ".join(f"{name} {value}" for name, value in each["settings"].items())
            place = [row[name] for name in ("method", "protocol", "training_exclusion", "support")]
            fold = f"{each['fold']} {each['group']}".strip()
            lines.append([*place, fold, told, number(each["seconds"])])
    return columns, lines


def _classes(rows: Sequence[Row]) -> list[str]:
    return list(dict.fromkeys(name for row in rows for name in row["by_class"]))
