"""Backbones from timm: any of its models that returns feature maps."""

import contextlib
import difflib
from collections.abc import Sequence
from typing import Any

import timm
from torch import nn

from episodes.errors import ModelError, shorten
from fewshot.models.hub import hub_or_cache, why_not
from fewshot.models.levels import XFEAT, Level

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def build_timm(
    name: str, strides: Sequence[int], pretrained: bool
) -> tuple[nn.Module, tuple[Level, ...], Sequence[float], Sequence[float]]:
    """Build a backbone; return its levels, and mean and spread of the pixels it was trained on.

    Raises:
        ModelError: timm has no such model, the model has no such stride, or weights are missing.
    """
    if not timm.is_model(name):
        near = difflib.get_close_matches(name, [*timm.list_models(), XFEAT], n=5, cutoff=0.5)
        raise ModelError(f"timm has no model {name!r}; similar names: {shorten(near) or 'none'}")
    try:
        with hub_or_cache() if pretrained else contextlib.nullcontext():
            model: Any = _features(name, strides, pretrained)
    except OSError as error:  # the hub's errors derive from it
        raise ModelError(
            f"{why_not(f'the weights of {name}')}; or use tf_efficientnet_lite0, whose weights are "
            "installed"
        ) from error
    known = timm.get_pretrained_cfg(name)
    mean, std = (known.mean, known.std) if known else (IMAGENET_MEAN, IMAGENET_STD)
    info = model.feature_info
    return model, tuple(map(Level, info.channels(), info.reduction())), mean, std


def _features(name: str, strides: Sequence[int], pretrained: bool) -> nn.Module:
    def build(indices: Sequence[int] | None, load: bool) -> Any:
        # The getter drops the layers behind the last requested level.
        levels: dict[str, Any] = {} if indices is None else {"out_indices": tuple(indices)}
        return timm.create_model(
            name, pretrained=load, features_only=True, feature_cls="getter", **levels
        )

    try:
        reductions: list[int] = build(None, False).feature_info.reduction()
    except (RuntimeError, AttributeError) as error:
        raise ModelError(f"timm's {name} returns no feature maps: {error}") from error
    missing = [stride for stride in strides if stride not in reductions]
    if missing:
        raise ModelError(
            f"{name} has no stride {shorten(missing)}; it has {shorten(set(reductions))}"
        )
    # Of several levels with one stride, the last is the richest.
    last = {stride: index for index, stride in enumerate(reductions)}
    return build(sorted(last[stride] for stride in strides), pretrained)
