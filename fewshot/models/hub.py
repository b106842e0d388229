"""The model hub and its local cache; without a network the cache is used at once."""

import contextlib
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator

from huggingface_hub import constants

_SECONDS = 4.0


@contextlib.contextmanager
def hub_or_cache() -> Iterator[None]:
    """Let huggingface_hub connect where the hub answers; otherwise use its cache alone.

    By itself it tries five times for a minute. HF_HUB_OFFLINE=1 does without asking.
    """
    before = constants.HF_HUB_OFFLINE
    constants.HF_HUB_OFFLINE = before or not answers(constants.ENDPOINT)
    try:
        yield
    finally:
        constants.HF_HUB_OFFLINE = before


def why_not(name: str) -> str:
    """Message why something could not be downloaded, with the way out."""
    if constants.HF_HUB_OFFLINE:
        cause = "HF_HUB_OFFLINE is set"
    elif answers(constants.ENDPOINT):
        cause = f"{constants.ENDPOINT} has no such files, or does not give them to you"
    else:
        cause = f"{constants.ENDPOINT} cannot be reached"
    return (
        f"{name} cannot be downloaded ({cause}), and {constants.HF_HUB_CACHE} does not hold it; "
        "copy that folder from a machine that has it"
    )


def answers(address: str) -> bool:
    """Whether a server answers at all within a few seconds, through a proxy if one is set."""
    found: list[bool] = []

    def connect() -> None:
        try:
            request = urllib.request.Request(address, method="HEAD")
            with urllib.request.urlopen(request, timeout=_SECONDS):
                found.append(True)
        except urllib.error.HTTPError:  # it answers, if only with a refusal
            found.append(True)
        except (OSError, ValueError):
            found.append(False)

    # In a thread, because name resolution has no time limit.
    thread = threading.Thread(target=connect, daemon=True)
    thread.start()
    thread.join(_SECONDS + 1)
    return bool(found) and found[0]
