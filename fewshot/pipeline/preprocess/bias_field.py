"""A smooth multiplicative field, such as the coils of an MR scanner cause, is divided out."""

from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np

from episodes.errors import DataError
from episodes.optional import import_optional
from fewshot.inference.inputs import ImageStack
from fewshot.inference.pixel_size import pixel_size
from fewshot.pipeline.preprocess.planes import with_intensities
from fewshot.pipeline.step import PreprocessStep
from fewshot.pipeline.values import Range
from fewshot.registry import register_step


@register_step("bias-field")
@dataclass(frozen=True)
class BiasFieldCorrection(PreprocessStep):
    """Divide by a smooth field that is estimated by N4; a volume has one field in three dimensions.

    Attributes:
        shrink: the field is estimated on an image so many times smaller, at least 32 pixels a side.
        iterations: at most so many at each level of resolution.
        levels: of resolution, each with half the distance of control points.

    Paper: Tustison et al., N4ITK: improved N3 bias correction, IEEE TMI 2010.
    """

    shrink: Annotated[int, Range(1, 32)] = 4
    iterations: Annotated[int, Range(1, 1000)] = 50
    levels: Annotated[int, Range(1, 8)] = 4

    def apply(self, picture: ImageStack) -> ImageStack:
        """Correct; see `PreprocessStep`.

        Raises:
            DataError: SimpleITK is not installed, or there are negative intensities.
        """
        lowest = picture.pixels.min()
        if lowest < 0:
            raise DataError(
                f"bias-field: the intensities of {picture.name} begin at {lowest:g}; expected "
                "none below 0, as the field is a factor. Leave this step out"
            )
        pixels = picture.pixels.astype(np.float32)
        grey = pixels.mean(axis=3) if pixels.ndim == 4 else pixels
        if grey.max() == grey.min():
            return picture
        field = self._field(grey, picture)
        field = field[..., None] if pixels.ndim == 4 else field
        return with_intensities(picture, pixels / field, None)

    def _field(self, grey: np.ndarray, picture: ImageStack) -> np.ndarray:
        library: Any = import_optional("SimpleITK", "medical")
        flat = len(grey) == 1
        image = library.GetImageFromArray(grey[0] if flat else grey)
        size = pixel_size(picture)
        spacing = [size.column, size.row, *([] if flat else [size.plane or 1.0])]
        image.SetSpacing([length / min(spacing) for length in spacing])
        factors = [max(1, min(self.shrink, side // 32)) for side in image.GetSize()]
        small = library.Shrink(image, factors)
        n4 = library.N4BiasFieldCorrectionImageFilter()
        n4.SetNumberOfThreads(1)  # sums of several threads differ from run to run
        n4.SetMaximumNumberOfIterations([self.iterations] * self.levels)
        n4.Execute(small, library.OtsuThreshold(small, 0, 1, 200))
        field = np.exp(library.GetArrayFromImage(n4.GetLogBiasFieldAsImage(image)))
        return np.maximum(field[None] if flat else field, 1e-6).astype(np.float32)
