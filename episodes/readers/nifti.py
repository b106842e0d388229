"""NIfTI volumes read as slices, one subject a volume, geometry kept.

    image_1.nii.gz  label_1.nii.gz                     pairs that differ in a word
    p7.nii  p7_seg.nii                                 the image without one
    images/case_1.nii.gz  labels/case_1.nii.gz         files of the same names
    imagesTr/case_1_0000.nii.gz  labelsTr/case_1.nii.gz

`classes.json` or `classes.yaml` beside them names the values.
"""

from pathlib import Path

from episodes import decode
from episodes.catalog import Catalog, MaskRef, PixelRef, Sample
from episodes.decode import is_volume
from episodes.errors import DataError
from episodes.legend import Legend, legend_classes, read_legend
from episodes.readers import naming


def recognises(root: Path) -> bool:
    """Whether volumes lie in the folder itself or in its image folder."""
    images = naming.subfolder(root, naming.IMAGE_WORDS)
    return any(is_volume(p) for folder in (root, images) if folder for p in folder.iterdir())


def read(
    root: Path, *, subject_pattern: str | None = None, legend: Legend | None = None
) -> Catalog:
    """Read a data set of volumes; each slice is a sample, each volume a subject.

    Raises:
        DataError: no volume, two files of one name, a damaged header, or a mask of another shape.
    """
    images, masks = naming.pairs(root, is_volume)
    if not images:
        raise DataError(f"{root} holds no NIfTI image; expected e.g. image_1.nii.gz")
    legend = read_legend(root) if legend is None else legend
    samples: list[Sample] = []
    for name, path in images.items():
        header = decode.read_header(path)
        mask = masks.get(name)
        if mask is not None:
            _same_grid(path, header, mask)
        subject = naming.subject_of(name, subject_pattern)
        prefix = path.relative_to(root).as_posix()
        for plane in range(header.planes):
            references = () if mask is None else (MaskRef(PixelRef(mask, plane), legend),)
            samples.append(
                Sample(f"{prefix}#{plane}", PixelRef(path, plane), references, subject, header.size)
            )
    notes = naming.partner_note("volumes", [n for n in images if n not in masks], "a label volume")
    notes += naming.partner_note("label volumes", [n for n in masks if n not in images], "an image")
    return Catalog(tuple(samples), legend_classes(legend), name=root.resolve().name, notes=notes)


def _same_grid(image: Path, header: decode.Header, mask: Path) -> None:
    other = decode.read_header(mask)
    if (other.size, other.planes) != (header.size, header.planes):
        raise DataError(
            f"label volume {mask} has {other.planes} planes of {other.size} and its image {image} "
            f"has {header.planes} planes of {header.size}; expected the same grid"
        )
    here, there = header.geometry, other.geometry
    if here and there and (here.order, here.flips) != (there.order, there.flips):
        raise DataError(
            f"label volume {mask} and its image {image} say that their axes point in different "
            "directions; resample one onto the other, or copy the image's affine to the label"
        )
