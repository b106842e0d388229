"""The folder of a run: what a run leaves there, and when another one may take its place.

A new run never shares a folder with what is left of an old one: an old score, best model or log
beside new weights would be taken for theirs. Imports no torch, so that commands can read it
before anything else.
"""

import contextlib
import json
import os
from collections.abc import Iterator
from pathlib import Path

from episodes.errors import DataError, shorten
from fewshot.lazily import lazily
from fewshot.provenance import BASELINE, CALIBRATION, EMBEDDING, SEGMENTER, WEIGHTS

filelock = lazily("filelock")  # imports asyncio

SPLIT, SETTINGS, STATE = "split.json", "settings.json", "state.pt"
LOG, VALIDATION_LOG = "log.jsonl", "measured.jsonl"
LOCK = ".lock"
SCORES = "evaluation/scores.json"
PARTS = ("best", "average")
"""Sub-folders with models of their own."""
_MODEL = (WEIGHTS, SEGMENTER, EMBEDDING, BASELINE, CALIBRATION)
_LOGS = ("curves.png", "log.csv", VALIDATION_LOG, LOG)
_PATTERNS = ("pictures/step_[0-9]*.png", "tensorboard/events.out.tfevents.*")
_RESERVED = (*PARTS, "evaluation", "pictures", "tensorboard")


def is_run(folder: Path) -> bool:
    """Whether the folder holds what a training run of this package wrote about itself."""
    split, settings = _read(folder / SPLIT), _read(folder / SETTINGS)
    trained = settings.get("train")
    return "train_fingerprint" in split or (isinstance(trained, dict) and "batch" in trained)


@contextlib.contextmanager
def held(folder: Path) -> Iterator[None]:
    """Keep other processes from training into a folder.

    Raises:
        DataError: another one does.
    """
    try:
        with filelock.FileLock(folder / LOCK, timeout=0):
            yield
    except filelock.Timeout:
        raise DataError(
            f"another process is training into {folder}; wait until it has ended, or choose "
            "another folder"
        ) from None


def run_of(folder: Path) -> Path:
    """The folder of the run that a model lies in, be it the run's own or one of `PARTS`."""
    within = not (folder / SPLIT).exists() and (folder.parent / SPLIT).exists()
    return folder.parent if within else folder


def refuse_run(folder: Path, *, overwrite: bool = False, model: Path | None = None) -> None:
    """Refuse a folder that a new run would take something from.

    Args:
        folder: of the new run.
        overwrite: whether an earlier run there may be replaced.
        model: that the new run goes on from, which is kept in any case.

    Raises:
        DataError: the folder holds a run and may not be replaced; it holds other files by the names
            of a run's; it is a part of another run's folder; or it holds `model`.
    """
    if model is not None and any(_same(folder / part, model) for part in ("", *PARTS)):
        raise DataError(
            f"--out {folder} holds the model to start from, {model}, which would be replaced; "
            "choose another --out"
        )
    refuse_part(folder)
    found = _found(folder)
    if not found or (is_run(folder) and not _of_worth(folder)):
        return
    if not is_run(folder):
        raise DataError(
            f"{folder} holds {shorten(_names(found, folder), 3)}, which no training run left "
            "there and which a run would replace; choose another --out"
        )
    if not overwrite:
        raise DataError(
            f"{folder} holds a run ({shorten(_names(_of_worth(folder), folder), 3)}); go on with "
            "--resume where it was stopped, choose another --out, or replace it, its scores "
            "included, with --overwrite"
        )


def refuse_part(folder: Path) -> None:
    """Refuse a folder in which a run keeps something of its own.

    Raises:
        DataError: it is one.
    """
    for above in folder.absolute().parents:
        inside = folder.absolute().relative_to(above).parts[0]
        if inside in _RESERVED and is_run(above):
            raise DataError(f"{folder} is a part of the run in {above}; choose another --out")


def make_room(folder: Path, *, overwrite: bool = False, model: Path | None = None) -> None:
    """Remove what an earlier run left in a folder, or refuse; see `refuse_run`.

    Scores go first and what names the folder as a run's goes last, so a kill in the middle leaves
    neither a score beside another model nor a folder that cannot be replaced. Other files stay.

    Raises:
        DataError: see `refuse_run`; or a file cannot be removed.
    """
    refuse_run(folder, overwrite=overwrite, model=model)
    remove(_found(folder), folder)


def remove(paths: list[Path], folder: Path) -> None:
    """Remove files of a folder in their order, and sub-folders that are empty then.

    Raises:
        DataError: a file cannot be removed.
    """
    try:
        for path in paths:
            path.unlink(missing_ok=True)
        above = {each for path in paths for each in path.parents if folder in each.parents}
        for path in sorted(above, key=lambda each: len(each.parts), reverse=True):
            if path.is_dir() and not path.is_symlink() and not any(path.iterdir()):
                path.rmdir()
    except OSError as error:
        raise DataError(
            f"what an earlier run left in {folder} cannot be removed: {error}; choose another --out"
        ) from error


def refuse_scores(out: Path, model: Path, *, overwrite: bool = False) -> None:
    """Refuse to write scores of a model where those of another one belong, or lie already.

    Raises:
        DataError: they would.
    """
    holder = next((p for p in (out, *out.absolute().parents) if (p / WEIGHTS).exists()), None)
    if holder is not None and not _same(holder, model):
        raise DataError(
            f"--out {out} lies in the folder of another model, {holder}, and would be taken for "
            f"scores of that; choose a folder of its own for the scores of {model}"
        )
    if not overwrite and (out / "scores.json").exists():
        raise DataError(
            f"{out} holds scores already; replace them with --overwrite, or choose another --out"
        )


def _found(folder: Path) -> list[Path]:
    """List what a run would write or has written, in the order of removal."""
    places = [folder, *(folder / part for part in PARTS)]
    of_run = [folder / n for n in (*_LOGS, "done.json", STATE, SETTINGS, SPLIT)]
    ordered = [place / name for place in places for name in (SCORES, "evaluation/episodes.png")]
    ordered += [place / name for place in places for name in _MODEL]
    ordered += [path for pattern in _PATTERNS for path in sorted(folder.glob(pattern))]
    return [path for path in (*ordered, *of_run) if os.path.lexists(path)]


def _of_worth(folder: Path) -> list[Path]:
    """Models, states and scores; a run killed before it saved any left nothing of worth."""
    return [p for p in _found(folder) if p.name in (WEIGHTS, STATE, Path(SCORES).name)]


def _names(paths: list[Path], folder: Path) -> list[str]:
    return [path.relative_to(folder).as_posix() for path in paths]


def _same(a: Path, b: Path) -> bool:
    """Whether two paths lead to one folder, through links and whatever the case of letters."""
    return a.exists() and b.exists() and os.path.samefile(a, b)


def _read(path: Path) -> dict:
    """Read what may be one of our JSON files; anything else is empty."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}  # not a file that this package wrote whole
    return content if isinstance(content, dict) else {}
