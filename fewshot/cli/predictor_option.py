"""`--predictor` and what belongs to it, as a predictor's name and settings."""

from dataclasses import fields
from typing import Any

from fewshot import recipes
from fewshot.inference.postprocessing.settings import PostprocessSettings
from fewshot.inference.settings import InferenceSettings


def predictor_of(inference: InferenceSettings) -> tuple[str, dict[str, Any]]:
    """Return the name of a predictor and the settings that were given.

    Args:
        inference: names a predictor, or a recipe whose predictor and settings at test time are
            taken; what differs from a default replaces the recipe's. By default end-to-end.

    Raises:
        FewshotError: there is neither such a predictor nor such a recipe.
    """
    name, settings = recipes.predictor_at_test(inference.predictor or "end-to-end")
    for group, default in (
        (inference, InferenceSettings()),
        (inference.postprocess, PostprocessSettings()),
    ):
        given = {each.name: getattr(group, each.name) for each in fields(group)}
        settings |= {key: value for key, value in given.items() if value != getattr(default, key)}
    return name, {k: v for k, v in settings.items() if k not in ("predictor", "postprocess")}
