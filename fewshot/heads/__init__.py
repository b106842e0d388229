"""One head a file, one contract: `condense` once a support set, `score` for every query."""

from collections.abc import Sequence

from fewshot.adapt.settings import GradientSettings
from fewshot.heads.classifier import ClassifierHead, ClassifierSettings
from fewshot.heads.clustered import ClusteredHead, ClusteredSettings
from fewshot.heads.contract import Head, Support
from fewshot.heads.correlation import CorrelationHead, CorrelationSettings
from fewshot.heads.cross import CrossHead, CrossSettings
from fewshot.heads.gaussian import GaussianHead, GaussianSettings
from fewshot.heads.local import LocalHead, LocalSettings
from fewshot.heads.matching import MatchingHead, MatchingSettings
from fewshot.heads.prior import PriorHead, PriorSettings
from fewshot.heads.prototypical import PrototypicalHead, PrototypicalSettings
from fewshot.heads.ridge import RidgeHead, RidgeSettings
from fewshot.heads.threshold import ThresholdHead, ThresholdSettings
from fewshot.levels import Level

HeadSettings = (
    LocalSettings
    | PrototypicalSettings
    | CorrelationSettings
    | MatchingSettings
    | CrossSettings
    | ThresholdSettings
    | ClusteredSettings
    | PriorSettings
    | GaussianSettings
    | RidgeSettings
    | ClassifierSettings
    | GradientSettings
)
KINDS: dict[str, type[HeadSettings]] = {
    "local": LocalSettings,
    "prototypical": PrototypicalSettings,
    "correlation": CorrelationSettings,
    "matching": MatchingSettings,
    "cross": CrossSettings,
    "threshold": ThresholdSettings,
    "clustered": ClusteredSettings,
    "prior": PriorSettings,
    "gaussian": GaussianSettings,
    "ridge": RidgeSettings,
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
        case ThresholdSettings():
            return ThresholdHead(settings, features)
        case ClusteredSettings():
            return ClusteredHead(settings)
        case PriorSettings():
            return PriorHead(settings)
        case GaussianSettings():
            return GaussianHead(settings)
        case RidgeSettings():
            return RidgeHead(settings)
        case ClassifierSettings():
            return ClassifierHead(settings, features)
        case GradientSettings():
            from fewshot.adapt.segmenter import GradientHead

            return GradientHead(settings, features)


__all__ = [
    "KINDS",
    "ClassifierHead",
    "ClassifierSettings",
    "ClusteredHead",
    "ClusteredSettings",
    "CorrelationHead",
    "CorrelationSettings",
    "CrossHead",
    "CrossSettings",
    "GaussianHead",
    "GaussianSettings",
    "GradientSettings",
    "Head",
    "HeadSettings",
    "LocalHead",
    "LocalSettings",
    "MatchingHead",
    "MatchingSettings",
    "PriorHead",
    "PriorSettings",
    "PrototypicalHead",
    "PrototypicalSettings",
    "RidgeHead",
    "RidgeSettings",
    "Support",
    "ThresholdHead",
    "ThresholdSettings",
    "build_head",
]
