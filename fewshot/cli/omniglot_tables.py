"""Rows and tables of `fewshot match omniglot`."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from episodes.protocols.omniglot import Trial, accuracy, hash_trials
from fewshot.metrics.bootstrap import bootstrap_mean
from fewshot.metrics.tables import shown, with_interval


def result_row(
    name: str,
    trials: Sequence[Trial],
    answers: Sequence[int],
    baseline: Sequence[int],
    by_run: bool = False,
) -> dict[str, Any]:
    """Score the answers to some trials, and those of a baseline; shares from 0 to 100.

    Args:
        name: of the headline.
        trials: that were answered.
        answers, baseline: index of the candidate of each trial.
        by_run: whether the interval is over runs, and every wrong answer is listed.
    """
    found, low, high = percent_right(trials, answers, by_run)
    by = accuracy(trials, answers)
    return {
        "name": name,
        "value": found,
        "ci95": [low, high],
        "baseline": percent_right(trials, baseline, by_run)[0],
        "trials": len(trials),
        "hash": hash_trials(trials),
        "by_run": {run: 100 * value for run, value in by.items()},
        "wrong": [
            {"run": trial.run, "test": trial.test, "answer": trial.candidates[answer][0]}
            for trial, answer in zip(trials, answers, strict=True)
            if answer != trial.answer
        ]
        if by_run
        else sum(a != t.answer for t, a in zip(trials, answers, strict=True)),
    }


def percent_right(trials: Sequence[Trial], answers: Sequence[int], by_run: bool) -> list[float]:
    """Mean of right answers with its interval over the runs, or over the trials, 0 to 100."""
    right = [trial.answer == answer for trial, answer in zip(trials, answers, strict=True)]
    groups = [trial.run if by_run else number for number, trial in enumerate(trials)]
    found = bootstrap_mean(np.array(right, np.float64), groups, resamples=2000)
    return [100 * value for value in found[:3]]


def headline(row: dict[str, Any]) -> dict[str, Any]:
    """Make the headline of a result file of a row."""
    kept = {name: row[name] for name in ("name", "value", "ci95", "baseline")}
    return {**kept, "unit": f"% right; baseline: {row['baseline_name']}"}


def table_of_tasks(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """List all tasks beside their baselines."""
    return {
        "title": "All tasks",
        "columns": ["task", "protocol", "right", "baseline", "trials", "list"],
        "rows": [
            [
                row["name"],
                row["protocol"],
                with_interval(row["value"], row["ci95"]),
                f"{shown(row['baseline'])} ({row['baseline_name']})",
                row["trials"],
                row["hash"][:16],
            ]
            for row in rows
        ],
    }


def table_of_runs(lake: dict[str, Any]) -> dict[str, Any]:
    """List the official runs one by one."""
    return {
        "title": "The official runs, one by one",
        "columns": ["run", "right"],
        "rows": [[run, shown(value)] for run, value in lake["by_run"].items()],
    }
