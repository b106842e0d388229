"""The state of a run, written so that a kill at any moment leaves a whole one."""

import pickle
import time
import warnings
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import torch

from episodes.errors import ModelError
from episodes.io.write import atomic_write
from fewshot.training.distributed import Processes
from fewshot.training.folder import STATE
from fewshot.training.run import Callback, Run

FORMAT = 1
FREE = ("minutes", "steps", "workers", "checkpoint_seconds", "checkpoint_steps")
"""Settings that may differ when a run goes on; all others would make it another run."""


def save_state(run: Run, processes: Processes, *, finished: bool) -> None:
    """Write the state, and the model for its users; every process has to call this.

    The state holds the weights itself, so it never depends on whether the model's own files were
    written before or after it.
    """
    random = processes.all_gather_object(torch.get_rng_state())
    run.saved, run.save_requested = time.monotonic(), False
    if processes.rank > 0:
        return
    for callback in run.callbacks:
        callback.on_checkpoint(run)
    state = {
        "format": FORMAT,
        "settings": asdict(run.settings),
        "step": run.step,
        "seconds": run.seconds(),
        "losses": run.losses,
        "finished": finished,
        "objective": run.task.objective.state_dict(),
        "optimiser": run.optimiser.state_dict(),
        "random": random,
        "callbacks": [[_name(callback), callback.state()] for callback in run.callbacks],
    }
    with atomic_write(run.folder / STATE) as partial:
        torch.save(state, partial)
    run.task.save(run.folder)


def load_state(run: Run, processes: Processes) -> None:
    """Take a run back to its last checkpoint.

    With as many processes as before the run goes on bit by bit as if it had not stopped, if its
    budget is counted in steps: a budget in minutes makes the learning rate depend on the clock.

    Raises:
        ModelError: there is no state, it is damaged, or it is another run's.
    """
    state = read_state(run.folder)
    _same_settings(run, state)
    if processes.rank == 0:
        for leftover in run.folder.rglob(".partial-*"):  # what a kill left half written
            leftover.unlink()
    try:
        run.task.objective.load_state_dict(state["objective"])
        run.optimiser.load_state_dict(state["optimiser"])
        run.step, run.earlier = int(state["step"]), float(state["seconds"])
        run.losses = [float(loss) for loss in state["losses"]]
        if len(state["random"]) == processes.world:
            torch.set_rng_state(state["random"][processes.rank])
        if processes.rank == 0:
            _restore(run, state["callbacks"])
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise ModelError(
            f"{run.folder / STATE} does not fit this run ({error}); train into another folder"
        ) from error


def read_state(folder: Path) -> dict[str, Any]:
    """Read a state; nothing in it is ever executed.

    Raises:
        ModelError: the file is missing or damaged, or holds anything but numbers and names.
    """
    path = folder / STATE
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # on strange files, which the error names
            state = torch.load(path, map_location="cpu", weights_only=True)
        if not isinstance(state, dict) or state.get("format") != FORMAT:
            raise ValueError(f"its format is not {FORMAT}")
    except FileNotFoundError:
        raise ModelError(
            f"there is no {STATE} in {folder}, so there is no run to resume; leave out --resume"
        ) from None
    except (OSError, ValueError, KeyError, RuntimeError, EOFError, pickle.UnpicklingError) as error:
        reason = str(error).split("\n")[0]
        raise ModelError(
            f"{path} is not the state of a run ({reason}); nothing in it was executed. "
            "Train again into another folder"
        ) from error
    return state


def _same_settings(run: Run, state: dict[str, Any]) -> None:
    current = asdict(run.settings)
    # A setting that came later than the run had its default in it.
    stored = {each.name: each.default for each in fields(run.settings)} | state.get("settings", {})
    for name, value in current.items():
        if name not in FREE and stored[name] != value:
            raise ModelError(
                f"the run in {run.folder} has {name} {stored[name]}, and now it is {value}; "
                f"go on with {stored[name]}, or train into another folder"
            )


def _name(callback: Callback) -> str:
    return callback.state_name or type(callback).__name__


def _restore(run: Run, stored: list[Any]) -> None:
    names = [name for name, _ in stored]
    current = [_name(callback) for callback in run.callbacks]
    if names != current:
        raise ValueError(f"its callbacks were {names}, and now they are {current}")
    for callback, (_, state) in zip(run.callbacks, stored, strict=True):
        callback.restore(state)
