"""A process that is told to end cleans up first."""

import contextlib
import signal
import threading
from collections.abc import Iterator


@contextlib.contextmanager
def stopped_in_good_order() -> Iterator[None]:
    """Turn the signal to end a process into an exception, so that it can clean up."""
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread may handle signals
        return

    def stop(number: int, _: object) -> None:
        raise SystemExit(128 + number)

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
