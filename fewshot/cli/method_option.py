"""`--method NAME` of a baseline: it takes the place of `--predictor NAME`."""

from dataclasses import replace

from episodes.errors import DataError
from fewshot.inference.settings import InferenceSettings
from fewshot.registry import PREDICTORS

_MIXED = "self-configuring"  # the predictor whose methods are mixed


def with_baseline(inference: InferenceSettings) -> InferenceSettings:
    """Choose the predictor that a method names by itself; methods to be mixed stay as they are.

    Args:
        inference: what was typed; a predictor of a plugin is taken as well as a baseline.

    Raises:
        DataError: a baseline is named beside other methods or another predictor.
    """
    known = {*PREDICTORS.names_in("fewshot.baselines"), *PREDICTORS.registered()} - {_MIXED}
    named = [name for name in inference.method if name in known]
    if not named:
        return inference
    others = [name for name in dict.fromkeys(inference.method) if name != named[0]]
    if others:
        raise DataError(
            f"--method {named[0]} is a baseline, which is not mixed with other methods; leave out "
            f"{', '.join(others)}"
        )
    if inference.predictor not in (None, _MIXED, named[0]):
        raise DataError(
            f"--method {named[0]} is a predictor of its own; leave out --predictor "
            f"{inference.predictor}"
        )
    return replace(inference, predictor=named[0], method=())
