"""`--plugin FILE`, which every command takes, as often as there are files."""

from collections.abc import Sequence

from episodes.errors import FewshotError
from episodes.plugins import load_plugins

OPTION = "--plugin"
HELP = f"Every command takes {OPTION} FILE: a file of Python that adds heads, losses, miners, \
readers, protocols, metrics, predictors, baselines or steps of pipelines (docs/plugins.md)."


def without_plugins(arguments: Sequence[str]) -> list[str]:
    """Load the plugins that are typed, and return the words without them.

    They are loaded before anything else is read: names that they add are choices of options.

    Raises:
        FewshotError: no file is named, or see `episodes.plugins.load_plugin`.
    """
    words, files = list(arguments), []
    while True:
        place = next((n for n, w in enumerate(words) if w.partition("=")[0] == OPTION), None)
        if place is None:
            break
        word, sign, value = words.pop(place).partition("=")
        if not sign:
            if place == len(words) or words[place].startswith("--"):
                raise FewshotError(f"{word} has no file after it; name a file of Python")
            value = words.pop(place)
        files.append(value)
    load_plugins(files)
    return words
