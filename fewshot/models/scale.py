"""How large annotated structures are: kept with a support, so that unlike pictures are noticed."""

from dataclasses import dataclass


@dataclass(frozen=True)
class AnnotatedScale:
    """How large annotated structures are.

    Attributes:
        width: of the thinnest class, as a share of the picture's longest side.
        side: longest side of the annotated pictures, in pixels; their median.
        spacing: of their pixels, in mm; 0 where it is not known.
    """

    width: float
    side: float
    spacing: float = 0.0
