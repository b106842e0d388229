"""Register images and volumes by intensities: affine, then a field of displacements (SimpleITK).

Affine: Mattes and others, PET-CT image registration in the chest using free-form deformations, TMI
2003. Field: Vercauteren and others, Diffeomorphic demons, NeuroImage 2009, the fast symmetric
forces, after matching of the histograms.
"""

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from episodes.optional import import_optional

LEAST = 4
"""Pixels or slices along every axis, below which the filters of the library do not work."""
_BINS, _SAMPLED = 32, 0.3  # of the mutual information: intensities, and share of the pixels
_SEED = 1  # of the jitter of the sampled grid; 0 would be the time of the day
_AFFINE_LEVELS = ((4, 2.0), (2, 1.0))  # shrink factor, and smoothing in pixels
_AFFINE_STEPS = 100
_DEMONS_LEVELS = ((4, 40), (2, 30), (1, 15))  # shrink factor, and steps
_OUTSIDE = 255  # label of what lies beyond an atlas: unknown


def sitk() -> Any:
    """Import SimpleITK.

    Raises:
        DataError: it is not installed.
    """
    return import_optional("SimpleITK", "baselines")


def as_image(pixels: np.ndarray, spacing: Sequence[float]) -> Any:
    """Make an image of the library.

    Args:
        pixels: [height width] or [depth height width].
        spacing: along the same axes.
    """
    image = sitk().GetImageFromArray(np.ascontiguousarray(pixels))
    image.SetSpacing([float(each) for each in reversed(spacing)])
    return image


def register_affine(fixed: Any, moving: Any) -> Any:
    """Find the affine transform from the fixed image into the moving one.

    Args:
        fixed, moving: images of the library, of one dimension, intensities 0 to 1.
    """
    library = sitk()
    dimension = fixed.GetDimension()
    start = library.CenteredTransformInitializer(
        *(fixed, moving, library.AffineTransform(dimension)),
        library.CenteredTransformInitializerFilter.GEOMETRY,
    )
    smallest = min(*fixed.GetSize(), *moving.GetSize())
    levels = [each for each in _AFFINE_LEVELS if smallest // each[0] >= 2 * LEAST] or [(1, 0.0)]
    method = library.ImageRegistrationMethod()
    method.SetNumberOfThreads(1)  # several add up in an order of their own
    method.SetMetricAsMattesMutualInformation(_BINS)
    method.SetMetricSamplingStrategy(method.REGULAR)
    method.SetMetricSamplingPercentage(_SAMPLED, _SEED)
    method.SetInterpolator(library.sitkLinear)
    method.SetOptimizerAsRegularStepGradientDescent(1.0, 1e-3, _AFFINE_STEPS)
    method.SetOptimizerScalesFromPhysicalShift()
    method.SetShrinkFactorsPerLevel([factor for factor, _ in levels])
    method.SetSmoothingSigmasPerLevel([sigma for _, sigma in levels])
    method.SmoothingSigmasAreSpecifiedInPhysicalUnitsOff()
    method.SetInitialTransform(start, inPlace=False)
    try:
        return method.Execute(fixed, moving)
    except RuntimeError as error:
        reason = str(error).strip().splitlines()[-1].strip()
        warnings.warn(
            f"an atlas could not be registered and is laid over the image as it is ({reason}); "
            "annotate an image that is more like it",
            stacklevel=2,
        )
        return start


def register_demons(fixed: Any, moving: Any, affine: Any, smoothing: float) -> Any:
    """Refine an affine transform by a field of displacements.

    Args:
        fixed, moving: images of the library, intensities 0 to 1.
        affine: from the fixed image into the moving one.
        smoothing: standard deviation of the field's smoothing, in pixels.

    Returns:
        The transform from the fixed image into the moving one.
    """
    library = sitk()
    laid = library.Resample(moving, fixed, affine, library.sitkLinear, 0.0)
    laid = library.HistogramMatching(laid, fixed, 128, 10, False)
    field = None
    for factor, steps in _DEMONS_LEVELS:
        factors = [max(1, min(factor, size // (4 * LEAST))) for size in fixed.GetSize()]
        small, other = (_shrunk(each, factors) for each in (fixed, laid))
        demons = library.FastSymmetricForcesDemonsRegistrationFilter()
        demons.SetNumberOfThreads(1)
        demons.SetNumberOfIterations(steps)
        demons.SetStandardDeviations(smoothing)
        if field is None:
            field = demons.Execute(small, other)
        else:
            field = demons.Execute(small, other, library.Resample(field, small))
    displacement = library.DisplacementFieldTransform(
        library.Cast(field, library.sitkVectorFloat64)
    )
    return library.CompositeTransform([affine, displacement])


def warp_labels(labels: np.ndarray, moving: Any, fixed: Any, transform: Any) -> np.ndarray:
    """Bring the labels of the moving image to the fixed one; 255 beyond it.

    Args:
        labels: uint8, of the shape of the moving image.
        moving, fixed: images of the library.
        transform: from the fixed image into the moving one.
    """
    library = sitk()
    image = library.GetImageFromArray(np.ascontiguousarray(labels, np.uint8))
    image.CopyInformation(moving)
    laid = library.Resample(image, fixed, transform, library.sitkNearestNeighbor, _OUTSIDE)
    return library.GetArrayFromImage(laid)


def staple(votes: Sequence[np.ndarray]) -> np.ndarray:
    """Probability of a class by several masks, each weighted by how reliable it seems.

    Paper: Warfield, Zou and Wells, Simultaneous truth and performance level estimation (STAPLE),
    TMI 2004.

    Args:
        votes: bool, of one shape; two at least, one of which is not empty.

    Returns:
        float64 of the same shape.
    """
    library = sitk()
    images = [library.GetImageFromArray(each.astype(np.uint8)) for each in votes]
    method = library.STAPLEImageFilter()
    method.SetNumberOfThreads(1)
    method.SetForegroundValue(1)
    return library.GetArrayFromImage(method.Execute(images))


def _shrunk(image: Any, factors: Sequence[int]) -> Any:
    library = sitk()
    if max(factors) == 1:
        return image
    sigmas = [
        max(0.5 * factor * step, 1e-3)
        for factor, step in zip(factors, image.GetSpacing(), strict=True)
    ]
    return library.Shrink(library.SmoothingRecursiveGaussian(image, sigmas), factors)
