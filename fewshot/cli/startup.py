"""What makes the first answer come sooner; none of it changes an answer."""

import contextlib
import ctypes
import gc
import os
from collections.abc import Iterator

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # as <malloc.h> numbers them
_KEPT = 1 << 30  # bytes


@contextlib.contextmanager
def without_collector() -> Iterator[None]:
    """Import without looking for garbage: half a second less for torch, whose modules stay."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


def wait_quietly() -> None:
    """Let idle threads of OpenMP sleep early, unless the user sets another policy.

    They spin for milliseconds else: twice the processor time on a quiet machine, and on a busy one
    a picture takes ten times as long. It is read when torch is imported.
    """
    if not {"OMP_WAIT_POLICY", "GOMP_SPINCOUNT"} & set(os.environ):
        os.environ["GOMP_SPINCOUNT"] = "1000"


def keep_freed_memory() -> None:
    """Let the GNU C library keep freed memory for the next tensor, where it is that library.

    It gives large blocks back to the system at once else, which has to clear them again for each
    tensor: up to half of the processor's time where tensors of megabytes come and go.
    """
    if os.name != "posix" or any(name.startswith("MALLOC_") for name in os.environ):
        return
    choose = getattr(ctypes.CDLL(None), "mallopt", None)
    if choose is not None:
        for parameter in (_MMAP_THRESHOLD, _TRIM_THRESHOLD):
            choose(parameter, _KEPT)
