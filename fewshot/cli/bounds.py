"""What can be refused before anything is imported: paths that do not exist, absurd numbers.

One place for every command. Numbers that make no sense together are refused by the settings they
belong to, and those that ask for more memory than there is by `fewshot.memory`.
"""

import math
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

from episodes.errors import DataError, FewshotError

INPUTS = frozenset(
    (
        *("choices", "data", "gallery", "image", "images"),
        *("labels", "mask", "model", "query", "support", "threshold"),
        *("predictions", "truth", "pipeline", "inputs"),
    )
)
"""Options whose paths are read; those of all others are written."""

_ANY = (-math.inf, math.inf)
_SHARE = (0, 1)
_SEED = (0, 2**63 - 1)
_STEPS = (0, 10**9)
BOUNDS: dict[str, tuple[float, float]] = {
    # time, in the unit of the option
    "minutes": (0, 60 * 24 * 366),
    "train_on_queries": (0, 60 * 24 * 366),
    "adapt": (0, 24 * 3600),
    "checkpoint_seconds": (0, 366 * 24 * 3600),
    # seeds, steps and rates
    **dict.fromkeys(("seed", "seeds", "split_seed"), _SEED),
    **dict.fromkeys(("steps", "checkpoint_steps"), _STEPS),
    **dict.fromkeys(("validate", "patience", "pictures"), (1, 10**9)),
    **dict.fromkeys(("refresh", "memory_patience"), _STEPS),
    "learning_rate": (0, 1000),
    "weight_decay": (0, 1000),
    **dict.fromkeys(("alignment", "class_weights", "minimum_change"), (0, 10**6)),
    "clip": (0, 10**9),
    # shares
    **dict.fromkeys(("test_share", "validation_share", "warmup"), _SHARE),
    **dict.fromkeys(("superpixels", "supervoxels", "synthetic", "similarity"), _SHARE),
    **dict.fromkeys(("keep_share", "centred", "whitened"), _SHARE),
    "average": (0, 0.999999),
    "weight": (0, 1000),
    # how many
    "way": (1, 254),
    **dict.fromkeys(("shot", "shots"), (1, 512)),
    "supports": (1, 1000),
    "queries": (1, 10**5),
    "episodes": (1, 10**6),
    "validation_episodes": (1, 10**5),
    "batch": (1, 4096),
    "accumulate": (1, 4096),
    "workers": (0, 256),
    "fold": (0, 1000),
    "folds": (0, 1000),
    "fold_count": (2, 1000),
    "classes_per_batch": (1, 10**5),
    "images_per_class": (1, 10**4),
    "memory": (0, 10**7),
    "hard_negatives": (0, 10**5),
    "min_gap": (1, 10**6),
    "k": (1, 10**7),
    "top": (1, 512),
    "views": (1, 64),
    "trials": (1, 10**8),
    # sizes and lengths, in pixels; how large fits, the memory decides
    "size": (32, 2**16),
    "channels": (0, 10**5),
    "ink_side": (8, 1024),
    "strides": (1, 1024),
    "widths": (1, 4096),
    "blocks": (1, 100),
    "dim": (1, 2**16),
    "smooth_side": (8, 2048),
    "zoom": (1, 1000),
    # strengths and temperatures, whose settings know more
    **dict.fromkeys(("similarity_temperature", "depth_temperature", "depth"), (0, 10**6)),
    **dict.fromkeys(("proximity", "proximity_width", "coordinates"), (0, 10**6)),
    **dict.fromkeys(("walker_length", "walker_contrast", "walker_across"), (0, 10**6)),
    "cut_strength": (0, 10**6),
    "margin": (-(10**6), 10**6),
    "scale": (0, 10**6),
    "threshold": _SHARE,
    "tolerance": (0, 10**9),
    "spacing": (1e-9, 10**9),
}
"""The least and the largest value of every numeric option, by its name."""


def check_command(command: Any) -> None:
    """Refuse a command that cannot be done whatever the files hold.

    Args:
        command: one of the dataclasses of `fewshot.cli.options` and its neighbours.

    Raises:
        DataError: a path that is to be read does not exist.
        FewshotError: a number is no number, or out of bounds.
    """
    options = list(_options(command))
    for name, value in options:
        if isinstance(value, int | float) and not isinstance(value, bool):
            _check_number(name, value)
    for name, value in options:
        if name in INPUTS and isinstance(value, Path) and not _exists(value):
            raise DataError(
                f"there is no file or folder {value}; check the name, and the folder you are in"
            )


def _check_number(name: str, value: float) -> None:
    low, high = BOUNDS.get(name, _ANY)
    if math.isfinite(value) and low <= value <= high:
        return
    expected = f"a number from {low:,} to {high:,}" if name in BOUNDS else "a finite number"
    hint = "; leave it out for its default" if value == 0 else ""
    raise FewshotError(f"--{_dashes(name)} is {value:,}; expected {expected}{hint}")


def _options(command: Any) -> Iterator[tuple[str, Any]]:
    """List every value of a command with the name of its option; of nested settings, too."""
    for field in fields(command):
        value = getattr(command, field.name)
        if is_dataclass(value):
            yield from _options(value)
            continue
        for item in value if isinstance(value, tuple) else (value,):
            yield field.name, item


def _exists(path: Path) -> bool:
    """Whether there is something; a link to nothing is told of with the file it stands for."""
    try:
        return path.exists() or path.is_symlink()
    except OSError:  # no permission for the folder, a name too long: reading it will tell
        return True


def _dashes(name: str) -> str:
    return name.replace("_", "-")
