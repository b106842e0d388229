"""Memory of one part of a process: the peak is forgotten before the part begins."""

import contextlib
import gc
from pathlib import Path


def forget_peak() -> None:
    """Let `peak_memory` count from now on; where the system cannot, it goes on counting.

    What the part before remembered is let go first: caches and their methods hold each other, so
    that only the collector frees them.
    """
    gc.collect()
    with contextlib.suppress(OSError):  # only Linux can
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
