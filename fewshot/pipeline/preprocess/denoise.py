"""Noise is removed, plane by plane; intensities keep their range."""

from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np

from episodes.errors import DataError
from fewshot.inference.inputs import ImageStack
from fewshot.lazily import lazily
from fewshot.pipeline.preprocess.planes import map_planes, scaled, with_intensities
from fewshot.pipeline.step import PreprocessStep
from fewshot.pipeline.values import Range
from fewshot.registry import register_step

ndimage = lazily("scipy.ndimage")
restoration = lazily("skimage.restoration")


@register_step("denoise")
@dataclass(frozen=True)
class Denoise(PreprocessStep):
    """Remove noise from every plane.

    Attributes:
        method: non-local means, a bilateral filter, total variation, or a median.
        strength: how much is removed, as a share of the range of intensities: of nl-means how far
            patches may differ that are averaged (by default 0.05), of bilateral the difference that
            counts as an edge (0.1), of tv the weight of smoothness (0.1). A median has none.
        size: width of the neighbourhood, in pixels; odd. Of nl-means the width of the compared
            patches; total variation has none.

    Paper: Buades et al., A non-local algorithm for image denoising, CVPR 2005; Tomasi and Manduchi,
    Bilateral filtering for gray and color images, ICCV 1998; Chambolle, An algorithm for total
    variation minimization and applications, JMIV 2004.
    """

    method: Literal["nl-means", "bilateral", "tv", "median"] = "median"
    strength: Annotated[float | None, Range(0, 10)] = None
    size: Annotated[int, Range(1, 99)] = 3

    def apply(self, picture: ImageStack) -> ImageStack:
        """Denoise; see `PreprocessStep`."""
        pixels, low, span = scaled(picture)
        smooth = map_planes(pixels, self._smooth)
        return with_intensities(picture, smooth * span + low, picture.limits)

    def _smooth(self, plane: np.ndarray) -> np.ndarray:
        colour = -1 if plane.ndim == 3 else None
        if self.method == "median":
            return ndimage.median_filter(plane, (self.size, self.size, 1)[: plane.ndim])
        if self.method == "tv":
            weight = 0.1 if self.strength is None else self.strength
            return restoration.denoise_tv_chambolle(plane, weight, channel_axis=colour)
        if self.method == "bilateral":
            edge = 0.1 if self.strength is None else self.strength
            return self._bilateral(plane, max(edge, 1e-6))
        return restoration.denoise_nl_means(
            plane,
            patch_size=self.size,
            patch_distance=2 * self.size,
            h=max(0.05 if self.strength is None else self.strength, 1e-6),
            fast_mode=True,
            channel_axis=colour,
        )

    def _bilateral(self, plane: np.ndarray, edge: float) -> np.ndarray:
        """The library refuses negative intensities, and an even plane has no edges."""
        lowest = plane.min()
        if plane.max() == lowest:
            return plane
        colour = -1 if plane.ndim == 3 else None
        return lowest + restoration.denoise_bilateral(
            plane - lowest,
            win_size=self.size,
            sigma_color=edge,
            sigma_spatial=max(self.size / 3, 0.5),
            channel_axis=colour,
        )

    def check(self) -> None:
        """Refuse an even width."""
        if self.size % 2 == 0:
            raise DataError(f"denoise: size is {self.size}; expected an odd number of pixels")
