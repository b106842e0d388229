"""One head a file, one contract: `encode_support` once a support set, `logits` for every query."""

from collections.abc import Sequence

from episodes.errors import ModelError
from fewshot.models.heads.adnet import ThresholdHead, ThresholdSettings
from fewshot.models.heads.alpnet import LocalHead, LocalSettings
from fewshot.models.heads.anil import ClassifierHead, ClassifierSettings
from fewshot.models.heads.base import Head, Support
from fewshot.models.heads.gaussian import GaussianHead, GaussianSettings
from fewshot.models.heads.gradient_settings import GradientSettings
from fewshot.models.heads.hsnet import CorrelationHead, CorrelationSettings
from fewshot.models.heads.insid3 import MatchingHead, MatchingSettings
from fewshot.models.heads.mixture_prototypes import ClusteredHead, ClusteredSettings
from fewshot.models.heads.panet import PrototypicalHead, PrototypicalSettings
from fewshot.models.heads.pfenet_prior import PriorHead, PriorSettings
from fewshot.models.heads.ridge import RidgeHead, RidgeSettings
from fewshot.models.heads.universeg import CrossHead, CrossSettings
from fewshot.models.levels import Level

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
            raise ModelError(
                f"{settings.method} adapts the whole network, of which no head can be built alone; "
                "use fewshot.models.checkpoint.build_network"
            )


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
