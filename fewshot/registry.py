"""The registries of the parts of models, training and evaluation; imports none of the parts."""

from typing import Any

from episodes.registry import Registry

HEADS: Registry[Any] = Registry(
    "head", "register_head", ("fewshot.models.heads", "fewshot.models.meta_learning"),
    "fewshot.heads",
)  # fmt: skip
"""Of `fewshot.models.heads.base.HeadEntry`."""
