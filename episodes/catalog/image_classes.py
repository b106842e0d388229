"""Classes of whole images, for classification: every image is of one class, all over."""

from collections.abc import Callable
from dataclasses import replace

from episodes.catalog.catalog import Catalog, Sample
from episodes.errors import DataError
from episodes.masks.label_map import label_map_classes, named


def with_image_classes(
    catalog: Catalog, class_of: Callable[[Sample], str] | None = None
) -> Catalog:
    """Give every image one class, which covers all of it; masks are left out.

    Episodes of such a catalog are tasks of classification: query q is of the class q modulo way
    (`Plan.query_ways`), and its label map is unknown (255) everywhere.

    Args:
        catalog: measured or not; of its images only the sizes are used.
        class_of: the class of an image; by default the one class that its masks are of.

    Returns:
        A measured catalog, its classes in the order of the images.

    Raises:
        DataError: without `class_of`, an image has masks of no class or of several.
    """
    class_of = class_of or _class_of_masks
    samples, classes = [], dict[str, None]()
    for sample in catalog.samples:
        name = class_of(sample)
        height, width = sample.size
        samples.append(replace(sample, masks=(), areas={name: height * width}))
        classes[name] = None
    return replace(catalog, samples=tuple(samples), classes=tuple(classes))


def _class_of_masks(sample: Sample) -> str:
    settled = [mask for mask in sample.masks if mask.label_map is not None]
    names = {name for mask in settled for name in label_map_classes(named(mask))}
    if len(names) != 1 or len(settled) != len(sample.masks):
        raise DataError(
            f"image {sample.key} has masks of {len(names)} known classes; expected one class an "
            "image. Give class_of, e.g. class_of=lambda sample: sample.subject where the folder "
            "of an image is its class"
        )
    return names.pop()
