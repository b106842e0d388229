"""One head a file, one contract: `condense` once a support set, `score` for every query."""

from fewshot.heads.contract import Head, Support
from fewshot.heads.local import LocalHead, LocalSettings
from fewshot.heads.prototypical import PrototypicalHead, PrototypicalSettings

HeadSettings = LocalSettings | PrototypicalSettings
KINDS: dict[str, type[HeadSettings]] = {
    "local": LocalSettings,
    "prototypical": PrototypicalSettings,
}
"""The name of each head's settings in saved files."""


def build_head(settings: HeadSettings) -> Head:
    """Make the head that the settings describe."""
    if isinstance(settings, LocalSettings):
        return LocalHead(settings)
    return PrototypicalHead(settings)


__all__ = [
    "KINDS",
    "Head",
    "HeadSettings",
    "LocalHead",
    "LocalSettings",
    "PrototypicalHead",
    "PrototypicalSettings",
    "Support",
    "build_head",
]
