"""What a level of the encoder is."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Level:
    """One resolution of the backbone within the fused feature map.

    Attributes:
        features: its channels; levels follow each other in the fused map, the finest first.
        stride: pixels of the image an entry of its own grid, before it was brought to the finest.
    """

    features: int
    stride: int
