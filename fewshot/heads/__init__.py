"""One head a file, one contract: `condense` once a support set, `score` for every query."""

from collections.abc import Sequence

from fewshot.adapt.settings import GradientSettings
from fewshot.encoder import Level
from fewshot.heads.classifier import ClassifierHead, ClassifierSettings
from fewshot.heads.contract import Head, Support
from fewshot.heads.correlation import CorrelationHead, CorrelationSettings
from fewshot.heads.cross import CrossHead, CrossSettings
from fewshot.heads.local import LocalHead, LocalSettings
from fewshot.heads.matching import MatchingHead, MatchingSettings
from fewshot.heads.prototypical import PrototypicalHead, PrototypicalSettings

HeadSettings = (
    LocalSettings
    | PrototypicalSettings
    | CorrelationSettings
    | MatchingSettings
    | CrossSettings
    | ClassifierSettings
    | GradientSettings
)
KINDS: dict[str, type[HeadSettings]] = {
    "local": LocalSettings,
    "prototypical": PrototypicalSettings,
    "correlation": CorrelationSettings,
    "matching": MatchingSettings,
    "cross": CrossSettings,
    "classifier": ClassifierSettings,
    "gradient": GradientSettings,
}
"""The name of each head's settings in saved files."""


def build_head(settings: HeadSettings, levels: Sequence[Level]) -> Head:
    """Make the head that the settings describe, for an encoder that fuses these levels."""
    features = sum(level.features for level in levels)
    match settings:
        case LocalSettings():
            return LocalHead(settings)
        case PrototypicalSettings():
            return PrototypicalHead(settings)
        case CorrelationSettings():
            return CorrelationHead(settings, levels)
        case MatchingSettings():
            return MatchingHead(settings)
        case CrossSettings():
            return CrossHead(settings, features)
        case ClassifierSettings():
            return ClassifierHead(settings, features)
        case GradientSettings():
            from fewshot.adapt.segmenter import GradientHead

            return GradientHead(settings, features)


__all__ = [
    "KINDS",
    "ClassifierHead",
    "ClassifierSettings",
    "CorrelationHead",
    "CorrelationSettings",
    "CrossHead",
    "CrossSettings",
    "GradientSettings",
    "Head",
    "HeadSettings",
    "LocalHead",
    "LocalSettings",
    "MatchingHead",
    "MatchingSettings",
    "PrototypicalHead",
    "PrototypicalSettings",
    "Support",
    "build_head",
]
