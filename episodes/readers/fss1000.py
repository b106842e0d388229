"""FSS-1000: one folder a class with ten pictures and their masks.

    abacus/1.jpg  abacus/1.png  …  zucchini/10.jpg  zucchini/10.png

The masks were saved with soft edges here and there: a value of 128 or more is the object.

Li, Wei, Chen, Tai, Tang: FSS-1000: a 1000-class dataset for few-shot segmentation, CVPR 2020.
"""

from pathlib import Path

import numpy as np

from episodes.catalog.catalog import Catalog, Sample
from episodes.errors import DataError
from episodes.io.pixels import MaskRef, PixelRef
from episodes.io.read import read_header, read_image
from episodes.masks.label_map import LabelMap
from episodes.readers import naming


def recognises(root: Path) -> bool:
    """Whether a sub-folder holds 1.jpg and 1.png."""
    return any(
        (sub / "1.jpg").is_file() and (sub / "1.png").is_file() for sub in naming.folders(root)
    )


def read(
    root: Path, *, subject_pattern: str | None = None, label_map: LabelMap | None = None
) -> Catalog:
    """Read a data set in the layout of FSS-1000; a folder is a class.

    Args:
        root: the folder of the class folders.
        subject_pattern: searched in e.g. `abacus/1`; by default each picture is a subject.
        label_map: one name for the objects of all folders; by default the folders' names.

    Raises:
        DataError: a header is damaged, or the label map names values.
    """
    if label_map is not None and not isinstance(label_map, str):
        raise DataError(f"the classes are {label_map}; masks are binary: expected one name or none")
    samples: list[Sample] = []
    lacking: list[str] = []
    for folder in naming.folders(root):
        for picture in sorted(folder.glob("*.jpg"), key=lambda path: (len(path.name), path.name)):
            name, mask = f"{folder.name}/{picture.stem}", picture.with_suffix(".png")
            masks: tuple[MaskRef, ...] = ()
            if mask.is_file():
                masks = (MaskRef(PixelRef(mask, None, read_object), label_map or folder.name),)
            else:
                lacking.append(name)
            samples.append(
                Sample(
                    key=f"{folder.name}/{picture.name}",
                    image=PixelRef(picture),
                    masks=masks,
                    subject=naming.subject_of(name, subject_pattern),
                    size=read_header(picture).size,
                )
            )
    return naming.catalog_of(root, samples, naming.partner_note("images", lacking, "a mask"))


def read_object(path: Path, member: str) -> np.ndarray:
    """Read where the object is: bool [height width]."""
    pixels = read_image(path)
    grey = pixels if pixels.ndim == 2 else pixels.max(axis=2)
    return grey >= 128 if grey.max() > 1 else grey > 0
