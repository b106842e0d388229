"""NIfTI volumes read as slices, one subject a volume, geometry kept.

    image_1.nii.gz  label_1.nii.gz                     pairs that differ in a word
    p7.nii  p7_seg.nii                                 the image without one
    images/case_1.nii.gz  labels/case_1.nii.gz         files of the same names
    imagesTr/case_1_0000.nii.gz  labelsTr/case_1.nii.gz

`classes.json` or `classes.yaml` beside them names the values.
"""

from dataclasses import replace
from pathlib import Path

from episodes.catalog.catalog import Catalog, Sample
from episodes.errors import DataError
from episodes.io.pixels import MaskRef, PixelRef
from episodes.io.read import is_volume, read_header
from episodes.masks.aligned import mask_source
from episodes.masks.label_map import LabelMap, label_map_classes, read_label_map
from episodes.readers import naming, pairing


def recognises(root: Path) -> bool:
    """Whether volumes lie in the folder itself or in its image folder."""
    images = naming.subfolder(root, naming.IMAGE_WORDS)
    return any(is_volume(p) for folder in (root, images) if folder for p in folder.iterdir())


def read(
    root: Path,
    *,
    subject_pattern: str | None = None,
    label_map: LabelMap | None = None,
    ignore_affine: bool = False,
) -> Catalog:
    """Read a data set of volumes; each slice is a sample, each volume a subject.

    Args:
        root: the folder.
        subject_pattern: searched in a volume's name; by default each file is a subject.
        label_map: what mask values mean; by default from classes.json, or found out from them.
        ignore_affine: match masks to their images voxel for voxel (see `episodes.io.mask_grid`).

    Raises:
        DataError: no volume, two files of one name, a damaged header, or masks that do not lie on
            their images.
    """
    images, masks = pairing.pairs(root, is_volume)
    if not images:
        raise DataError(f"{root} holds no NIfTI image; expected e.g. image_1.nii.gz")
    label_map = read_label_map(root) if label_map is None else label_map
    samples: list[Sample] = []
    elsewhere: list[str] = []
    for name, path in images.items():
        header = read_header(path)
        sources: tuple[PixelRef, ...] = ()
        if name in masks:
            try:
                sources = (mask_source(header.grid(path), masks[name], ignore_affine),)
            except DataError as error:
                elsewhere.append(str(error))
        subject = naming.subject_of(name, subject_pattern)
        prefix = path.relative_to(root).as_posix()
        for plane in range(header.planes):
            references = tuple(MaskRef(replace(s, plane=plane), label_map) for s in sources)
            samples.append(
                Sample(f"{prefix}#{plane}", PixelRef(path, plane), references, subject, header.size)
            )
    if elsewhere:
        more = f" (and {len(elsewhere) - 1} more of {len(masks)} masks)"
        raise DataError(elsewhere[0] + (more if len(elsewhere) > 1 else ""))
    notes = naming.partner_note("volumes", [n for n in images if n not in masks], "a label volume")
    notes += naming.partner_note("label volumes", [n for n in masks if n not in images], "an image")
    return Catalog(
        tuple(samples), label_map_classes(label_map), name=root.resolve().name, notes=notes
    )
