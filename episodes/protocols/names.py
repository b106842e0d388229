"""The registries of protocols; the command line lists their names without importing any."""

from typing import Any

from episodes.registry import Registry

VOLUME_PROTOCOLS: Registry[Any] = Registry(
    "protocol of volumes",
    "register_volume_protocol",
    ("episodes.protocols",),
    "fewshot.volume_protocols",
)
"""Of `episodes.protocols.registry.VolumeProtocol`."""

IMAGE_PROTOCOLS: Registry[Any] = Registry(
    "protocol of images",
    "register_image_protocol",
    ("episodes.protocols",),
    "fewshot.image_protocols",
)
"""Of functions of a catalog and `episodes.protocols.registry.ImageProtocolOptions`."""

SUBJECT_PROTOCOLS: Registry[Any] = Registry(
    "protocol of subjects",
    "register_subject_protocol",
    ("episodes.protocols",),
    "fewshot.subject_protocols",
)
"""Of functions of a catalog and `episodes.protocols.one_image.OneImageSettings`."""
