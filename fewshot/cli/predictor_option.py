"""`--predictor` and what belongs to it, as a predictor's name and settings."""

from collections.abc import Sequence
from dataclasses import fields
from typing import Any

from episodes.errors import DataError
from fewshot import recipes
from fewshot.inference.postprocessing.settings import PostprocessSettings
from fewshot.inference.settings import InferenceSettings
from fewshot.lazily import lazily
from fewshot.pipeline.values import checked, nearest
from fewshot.registry import PREDICTORS

yaml = lazily("yaml")  # of --setting alone

build = lazily("fewshot.inference.predictors.build")  # imports torch


def predictor_of(inference: InferenceSettings) -> tuple[str, dict[str, Any]]:
    """Return the name of a predictor and the settings that were given.

    Args:
        inference: names a predictor, or a recipe whose predictor and settings at test time are
            taken; what differs from a default replaces the recipe's. By default end-to-end.

    Raises:
        FewshotError: there is neither such a predictor nor such a recipe; or `--setting` is of no
            setting of it, or has a value of another type.
    """
    name, settings = recipes.predictor_at_test(inference.predictor or "end-to-end")
    for group, default in (
        (inference, InferenceSettings()),
        (inference.postprocess, PostprocessSettings()),
    ):
        given = {each.name: getattr(group, each.name) for each in fields(group)}
        settings |= {key: value for key, value in given.items() if value != getattr(default, key)}
    left_out = ("predictor", "postprocess", "setting")
    settings = {key: value for key, value in settings.items() if key not in left_out}
    return name, settings | _settings(name, inference.setting)


def _settings(name: str, given: Sequence[str]) -> dict[str, Any]:
    """Read NAME=VALUE, with values as YAML has them."""
    types = build.setting_types(PREDICTORS[name].Settings) if given else {}
    found = {}
    for each in given:
        key, equals, text = each.partition("=")
        if not equals or key not in types:
            raise DataError(
                f"--setting {each}: {nearest(key, types)}; expected NAME=VALUE with a setting of "
                f"{name}"
            )
        try:
            value = yaml.safe_load(text)
        except yaml.YAMLError as error:
            raise DataError(f"--setting {each}: {text!r} is no value ({error})") from error
        if text and types[key] is str:
            value = text
        found[key] = checked(types[key], value, f"--setting {key}")
    return found
