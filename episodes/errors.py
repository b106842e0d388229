"""The errors a user can cause; every message names the value, what was expected and the way out."""

import json
from collections.abc import Iterable


class FewshotError(ValueError):
    """Anything wrong with what the user gave; the command line prints it without a traceback."""


class DataError(FewshotError):
    """A file, folder or mask that cannot be used as it is."""


class EpisodeError(FewshotError):
    """A request for episodes that the catalog cannot satisfy."""


class ModelError(FewshotError):
    """A saved model or support that cannot be loaded, or does not fit the one in use."""


def cause(error: BaseException) -> str:
    """Explain why a file could not be read; messages of libraries are not shown.

    The error itself stays the cause of the one that is raised, for whoever looks for it.

    >>> cause(ValueError("buffer size must be a multiple of element size"))
    'it is damaged, or was not copied whole; copy it again, or save it anew'
    """
    if isinstance(error, FewshotError):
        return str(error)
    if isinstance(error, json.JSONDecodeError):
        return f"it is no JSON: {error.msg} in line {error.lineno}, column {error.colno}"
    if isinstance(error, UnicodeDecodeError):
        return f"it is no text in UTF-8: byte {error.start} is none; save it as UTF-8"
    if isinstance(error, MemoryError):
        return "it needs more memory than there is; is its header damaged? Otherwise crop it"
    if isinstance(error, OSError) and error.errno is not None and error.strerror:
        return f"the system refuses it ({error.strerror.lower()}); check its permissions and disk"
    return "it is damaged, or was not copied whole; copy it again, or save it anew"


def shorten(values: Iterable[object], limit: int = 8) -> str:
    """Join values for a message and cut a long list.

    >>> shorten(range(12))
    '0, 1, 2, 3, 4, 5, 6, 7 and 4 more'
    """
    items = [str(value) for value in values]
    text = ", ".join(items[:limit])
    return text if len(items) <= limit else f"{text} and {len(items) - limit} more"
