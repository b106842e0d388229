"""`--predictor`: the name of a predictor or of a recipe, and the steps that options name."""

from dataclasses import fields
from typing import Any

from fewshot import recipes
from fewshot.inference.postprocessing.settings import PostprocessSettings


def predictor_of(name: str, steps: PostprocessSettings) -> tuple[str, dict[str, Any]]:
    """Return the name of a predictor and its settings.

    Args:
        name: of a predictor, or of a recipe whose predictor and settings at test time are taken.
        steps: of the command line; what differs from the default replaces the recipe's.

    Raises:
        FewshotError: there is neither such a predictor nor such a recipe.
    """
    predictor, settings = recipes.predictor_at_test(name)
    default = PostprocessSettings()
    given = {each.name: getattr(steps, each.name) for each in fields(steps)}
    changed = {key: value for key, value in given.items() if value != getattr(default, key)}
    return predictor, {**settings, **changed}
