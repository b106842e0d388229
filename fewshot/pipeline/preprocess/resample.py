"""Images are brought to another size of pixel; labels come back on the image's own grid."""

from dataclasses import dataclass, replace
from typing import Annotated

import numpy as np

from episodes.errors import DataError
from fewshot.inference.inputs import ImageStack
from fewshot.inference.pixel_size import MILLIMETRES, pixel_size
from fewshot.lazily import lazily
from fewshot.pipeline.quantity import Quantity, parse_quantity
from fewshot.pipeline.step import PreprocessStep
from fewshot.pipeline.values import Range
from fewshot.registry import register_step

transform = lazily("skimage.transform")
_MOST = 2**28  # voxels of a resampled image


@register_step("resample")
@dataclass(frozen=True)
class Resample(PreprocessStep):
    """Bring images to a spacing, or change their number of pixels by a factor.

    Attributes:
        spacing: of rows and columns, with its unit, such as "0.5 mm" or "0.3 um".
        plane_spacing: of the planes of a volume; by default they stay.
        factor: new pixels along a side for each old one, instead of a spacing; of rows and columns.
    """

    spacing: str | None = None
    plane_spacing: str | None = None
    factor: Annotated[float | None, Range(0.01, 100)] = None

    def check(self) -> None:
        """Refuse a spacing beside a factor, and neither."""
        if (self.factor is None) == (self.spacing is None and self.plane_spacing is None):
            raise DataError(
                "resample: expected either a factor or a spacing, e.g. factor: 0.5 or "
                'spacing: "0.5 mm"'
            )
        self._lengths()

    def apply(self, picture: ImageStack) -> ImageStack:
        """Resample linearly, without aliasing; see `PreprocessStep`.

        Raises:
            DataError: the file tells no size of a pixel, or the result is too large.
        """
        shape = self.shape_of(picture)
        if shape == picture.pixels.shape[:3]:
            return picture
        full = (*shape, *picture.pixels.shape[3:])
        pixels = transform.resize(
            *(picture.pixels.astype(np.float32), full),
            order=1,
            mode="edge",
            anti_aliasing=True,
            preserve_range=True,
        )
        geometry = picture.geometry and picture.geometry.resized(shape)
        return replace(picture, pixels=pixels, geometry=geometry, structure=None, key=None)

    def shape_of(self, picture: ImageStack) -> tuple[int, int, int]:
        """Depth, height and width of an image when it is resampled."""
        depth, height, width = picture.pixels.shape[:3]
        if self.factor is not None:
            times = (1.0, self.factor, self.factor)
        else:
            times = self._times(picture)
        sides = [max(1, round(n * t)) for n, t in zip((depth, height, width), times, strict=True)]
        if sides[0] * sides[1] * sides[2] > _MOST:
            raise DataError(
                f"resample: {picture.name} would have {' x '.join(map(str, sides))} voxels; "
                f"expected at most {_MOST:,}, choose a larger spacing or a smaller factor"
            )
        return sides[0], sides[1], sides[2]

    def _times(self, picture: ImageStack) -> tuple[float, float, float]:
        size = pixel_size(picture)
        within, across = self._lengths()
        if size.unit == "px" or (across and size.plane is None):
            raise DataError(
                f"resample: the file of {picture.name} tells no spacing; give a factor instead"
            )
        unit = MILLIMETRES[size.unit]

        def ratio(old: float, new: Quantity | None) -> float:
            return 1.0 if new is None else old * unit / (new.value * MILLIMETRES[new.unit])

        return ratio(size.plane or 1.0, across), ratio(size.row, within), ratio(size.column, within)

    def _lengths(self) -> tuple[Quantity | None, Quantity | None]:
        within, across = (
            None if text is None else parse_quantity(text, "length", f"resample: {name}")
            for name, text in (("spacing", self.spacing), ("plane_spacing", self.plane_spacing))
        )
        return within, across
