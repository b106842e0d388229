"""PASCAL VOC, alone or with the further masks of SBD, as PASCAL-5i uses them.

    JPEGImages/2007_000032.jpg
    SegmentationClass/2007_000032.png         palette: 1 to 20 classes, 255 the border, unknown
    SegmentationClassAug/2008_000002.png      the same numbers, grey; more pictures
    ImageSets/Segmentation/train.txt          names of pictures, one a line

The folder itself, `VOC2012/` or `VOCdevkit/VOC2012/` in it. A picture that has a mask in both
folders takes that of SegmentationClass, which was drawn with more care.

Everingham et al.: The PASCAL visual object classes challenge, IJCV 88 (2010). Hariharan et al.:
Semantic contours from inverse detectors, ICCV 2011.
"""

from pathlib import Path

from episodes import decode
from episodes.catalog import Catalog, MaskRef, PixelRef, Sample
from episodes.errors import DataError
from episodes.legend import Legend, read_legend
from episodes.limits import inside, read_text
from episodes.readers import naming

MASK_FOLDERS = ("SegmentationClass", "SegmentationClassAug")
NAMES = (
    *("aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow"),
    *("diningtable", "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa"),
    *("train", "tvmonitor"),
)
"""The classes of VOC 2012 in the order of their numbers, from 1."""


def recognises(root: Path) -> bool:
    """Whether JPEGImages and a folder of class masks are there."""
    return _home(root) is not None


def read(
    root: Path,
    *,
    subject_pattern: str | None = None,
    legend: Legend | None = None,
    split: str | None = None,
) -> Catalog:
    """Read the pictures that have a mask.

    Args:
        root: see the module.
        subject_pattern: searched in a picture's name; by default each picture is a subject.
        legend: what the numbers mean; by default classes.json, else the classes of VOC 2012.
        split: the list in ImageSets/Segmentation to keep to, e.g. "train"; None for all masks.

    Raises:
        DataError: a header is damaged, or the list names a picture without a mask.
    """
    home = _home(root)
    if home is None:
        raise DataError(f"{root} lacks JPEGImages/ or {' or '.join(MASK_FOLDERS)}; expected both")
    if legend is None:
        legend = read_legend(home) or {i + 1: name for i, name in enumerate(NAMES)}
    masks: dict[str, Path] = {}
    for folder in reversed(MASK_FOLDERS):
        masks |= {path.stem: path for path in sorted((home / folder).glob("*.png"))}
    names = sorted(masks) if split is None else _listed(home, split, masks)
    samples: list[Sample] = []
    for name in names:
        picture = home / "JPEGImages" / f"{name}.jpg"
        samples.append(
            Sample(
                key=f"JPEGImages/{name}.jpg",
                image=PixelRef(picture),
                masks=(MaskRef(PixelRef(masks[name]), legend),),
                subject=naming.subject_of(name, subject_pattern),
                size=decode.read_header(picture).size,
            )
        )
    return naming.catalog_of(home, samples)


def _home(root: Path) -> Path | None:
    for home in (root, root / "VOC2012", root / "VOCdevkit" / "VOC2012"):
        folders = any((home / name).is_dir() for name in MASK_FOLDERS)
        if folders and (home / "JPEGImages").is_dir():
            return home
    return None


def _listed(home: Path, split: str, masks: dict[str, Path]) -> list[str]:
    folder = home / "ImageSets" / "Segmentation"
    names = read_text(inside(folder, f"{split}.txt")).split()
    lacking = [name for name in names if name not in masks]
    if lacking:
        raise DataError(
            f"the list {split}.txt names {len(lacking)} pictures without a mask, such as "
            f"{lacking[0]}; is SegmentationClassAug missing?"
        )
    return names
