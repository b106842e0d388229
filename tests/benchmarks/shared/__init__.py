"""What benchmarks measure with: the time of a call, and how far resident memory rose during it."""

import ctypes
import gc
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Observed:
    """What one call returned, how long it took and how far resident memory rose during it."""

    result: Any
    milliseconds: float
    peak_mib: float


def observe(call: Callable[[], Any]) -> Observed:
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)  # else memory that was freed before would hide the rise
    Path("/proc/self/clear_refs").write_text("5")  # sets the peak to what is resident now
    before = status_mib("VmRSS")
    start = time.perf_counter()
    result = call()
    duration = 1e3 * (time.perf_counter() - start)
    return Observed(result, duration, max(0.0, status_mib("VmHWM") - before))


def status_mib(field: str) -> float:
    found = re.search(rf"{field}:\s+(\d+) kB", Path("/proc/self/status").read_text())
    if found is None:
        raise RuntimeError(f"/proc/self/status has no {field}; this benchmark needs Linux")
    return int(found[1]) / 1024
