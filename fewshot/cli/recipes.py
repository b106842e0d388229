"""`fewshot recipes`: the named settings, and what to expect of them."""

from fewshot import recipes as known
from fewshot.cli.options import Recipes


def recipes(command: Recipes) -> int:
    """Print one recipe, or all."""
    wanted = command.names or tuple(known.names())
    print("\n\n".join(f"{name}\n{'-' * len(name)}\n{known.about(name)}" for name in wanted))
    return 0
