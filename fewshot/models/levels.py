"""What a level of the encoder is, and which levels a backbone has by itself."""

from dataclasses import dataclass

XFEAT = "xfeat"
"""The backbone of `fewshot.models.xfeat`, whose weights come with the package."""


@dataclass(frozen=True)
class Level:
    """One resolution of the backbone within the fused feature map.

    Attributes:
        features: its channels; levels follow each other in the fused map, the finest first.
        stride: pixels of the image an entry of its own grid, before it was brought to the finest.
        weight: of its cosine in the mean of all levels' cosines.
    """

    features: int
    stride: int
    weight: float = 1.0


def strides_of(backbone: str, strides: tuple[int, ...] | None = None) -> tuple[int, ...]:
    """Resolutions of a backbone to fuse, in pixels an entry: those named, else its own.

    XFeat's map of stride 8 is made of its levels of strides 8, 16 and 32 already.

    >>> strides_of("xfeat"), strides_of("resnet18"), strides_of("xfeat", (8, 16))
    ((8,), (8, 16), (8, 16))
    """
    if strides is not None:
        return strides
    return (8,) if backbone == XFEAT else (8, 16)
