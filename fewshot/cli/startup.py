"""What makes the first answer come sooner; none of it changes an answer."""

import contextlib
import gc
import os
from collections.abc import Iterator


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
