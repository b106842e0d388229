"""Which runs are listed."""

from dataclasses import dataclass
from pathlib import Path

from tyro.conf import Positional


@dataclass(frozen=True)
class Runs:
    """List trained models side by side: settings that differ, steps, time, loss and scores."""

    folders: Positional[tuple[Path, ...]] = (Path("runs"),)
    """Folders of runs, or folders that hold such folders."""
    csv: Path | None = None
    """Also write the table to this file."""
    overwrite: bool = False
    """Replace files that were there before and are not known as results; inputs never are."""
