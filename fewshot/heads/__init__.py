"""One head a file, one contract: `condense` once a support set, `score` for every query."""

from fewshot.heads.contract import Head, Support
from fewshot.heads.prototypical import PrototypicalHead, PrototypicalSettings

__all__ = ["Head", "PrototypicalHead", "PrototypicalSettings", "Support"]
