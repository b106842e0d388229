"""One head a file, one contract: `condense` once a support set, `score` for every query."""

from fewshot.adapt.settings import GradientSettings
from fewshot.heads.classifier import ClassifierHead, ClassifierSettings
from fewshot.heads.contract import Head, Support
from fewshot.heads.local import LocalHead, LocalSettings
from fewshot.heads.prototypical import PrototypicalHead, PrototypicalSettings

HeadSettings = LocalSettings | PrototypicalSettings | ClassifierSettings | GradientSettings
KINDS: dict[str, type[HeadSettings]] = {
    "local": LocalSettings,
    "prototypical": PrototypicalSettings,
    "classifier": ClassifierSettings,
    "gradient": GradientSettings,
}
"""The name of each head's settings in saved files."""


def build_head(settings: HeadSettings, features: int) -> Head:
    """Make the head that the settings describe, for feature maps of so many channels."""
    match settings:
        case LocalSettings():
            return LocalHead(settings)
        case PrototypicalSettings():
            return PrototypicalHead(settings)
        case ClassifierSettings():
            return ClassifierHead(settings, features)
        case GradientSettings():
            from fewshot.adapt.segmenter import GradientHead

            return GradientHead(settings, features)


__all__ = [
    "KINDS",
    "ClassifierHead",
    "ClassifierSettings",
    "GradientSettings",
    "Head",
    "HeadSettings",
    "LocalHead",
    "LocalSettings",
    "PrototypicalHead",
    "PrototypicalSettings",
    "Support",
    "build_head",
]
