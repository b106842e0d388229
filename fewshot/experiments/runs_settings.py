"""Which runs are listed."""

from dataclasses import dataclass, field
from pathlib import Path

from tyro.conf import OmitArgPrefixes, Positional

from fewshot.experiments.settings import OutputSettings


@dataclass(frozen=True)
class Runs:
    """List trained models side by side: settings that differ, steps, time, loss and scores."""

    folders: Positional[tuple[Path, ...]] = (Path("runs"),)
    """Folders of runs, or folders that hold such folders."""
    csv: Path | None = None
    """Also write the table to this file."""
    output: OmitArgPrefixes[OutputSettings] = field(default_factory=OutputSettings)
