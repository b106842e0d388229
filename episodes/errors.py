"""The errors a user can cause; every message names the value, what was expected and the way out."""

from collections.abc import Iterable


class FewshotError(ValueError):
    """Anything wrong with what the user gave; the command line prints it without a traceback."""


class DataError(FewshotError):
    """A file, folder or mask that cannot be used as it is."""


class EpisodeError(FewshotError):
    """A request for episodes that the catalog cannot satisfy."""


class ModelError(FewshotError):
    """A saved model or support that cannot be loaded, or does not fit the one in use."""


def shorten(values: Iterable[object], limit: int = 8) -> str:
    """Join values for a message and cut a long list.

    >>> shorten(range(12))
    '0, 1, 2, 3, 4, 5, 6, 7 and 4 more'
    """
    items = [str(value) for value in values]
    text = ", ".join(items[:limit])
    return text if len(items) <= limit else f"{text} and {len(items) - limit} more"
