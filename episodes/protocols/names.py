"""Names of the protocols, without their code: the command line lists them before it imports any."""

from typing import Literal

VolumeProtocol = Literal[
    "alpnet",
    "adnet",
    "adnet-2",
    "full-middle",
    "full-thirds",
    "full-slices",
    "full-volume",
]
ProtocolName = Literal[
    VolumeProtocol,
    "one-image",
    "panet",
    "hsnet",
    "pfenet",
    "coco-hsnet",
    "coco-pfenet",
]
