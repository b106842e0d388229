"""What a batch writes of a query."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np


class Result(Protocol):
    """What is written of a query: its mask, a picture of it, and its row in the summary."""

    @property
    def doubt(self) -> str:
        """Why it should not be used unseen; "" where nothing speaks against it."""
        ...

    def save(self, path: Path | str) -> Path:
        """Write the mask."""
        ...

    def overlay(self) -> np.ndarray:
        """Draw it: uint8 [height width 3]."""
        ...

    def summary(self) -> dict[str, Any]:
        """Describe it, ready for JSON."""
        ...


Answer = Callable[[Path], tuple[Result, Mapping[str, Any]]]
"""From the path of a query to its segmentation, and what else is noted of it."""
