"""KITTI road: pictures of streets with the road marked in colour.

    training/image_2/um_000000.png       training/gt_image_2/um_road_000000.png

The folder itself or `data_road/` in it. The names begin with the scene: um (marked, two ways),
umm (marked, several lanes), uu (unmarked). As in the benchmark's evaluation, red says that a pixel
counts and blue that it is road: magenta is road, red is background, black is unknown. The masks of
the own lane (`um_lane_…`) are left out.

Fritsch, Kühnl, Geiger: A new performance measure and evaluation benchmark for road detection
algorithms, ITSC 2013.
"""

from collections import Counter
from pathlib import Path

import numpy as np

from episodes.catalog.catalog import Catalog, Sample
from episodes.errors import DataError
from episodes.io.pixels import IGNORE, MaskRef, PixelRef
from episodes.io.read import read_header, read_image
from episodes.masks.label_map import UNKNOWN, LabelMap
from episodes.readers import naming


def recognises(root: Path) -> bool:
    """Whether training/image_2 and training/gt_image_2 are there."""
    return _home(root) is not None


def read(
    root: Path, *, subject_pattern: str | None = None, label_map: LabelMap | None = None
) -> Catalog:
    """Read the training pictures; those for testing have no masks.

    Args:
        root: see the module.
        subject_pattern: searched in e.g. `um_000000`; by default each picture is a subject.
        label_map: `{1: name}`; by default the class is called road.

    Raises:
        DataError: a header is damaged or there is no picture.
    """
    home = _home(root)
    if home is None:
        raise DataError(f"{root} lacks training/image_2 or training/gt_image_2; expected both")
    samples: list[Sample] = []
    lacking: list[str] = []
    scenes: Counter[str] = Counter()
    named = (
        {1: label_map or "road"} if label_map is None or isinstance(label_map, str) else label_map
    )
    meaning = {IGNORE: UNKNOWN, **named}
    for picture in sorted((home / "image_2").glob("*.png")):
        scene, _, number = picture.stem.partition("_")
        mask = home / "gt_image_2" / f"{scene}_road_{number}.png"
        if not mask.is_file():
            lacking.append(picture.stem)
        scenes[scene] += 1
        samples.append(
            Sample(
                key=f"image_2/{picture.name}",
                image=PixelRef(picture),
                masks=(MaskRef(PixelRef(mask, None, read_road), meaning),) * mask.is_file(),
                subject=naming.subject_of(picture.stem, subject_pattern),
                size=read_header(picture).size,
            )
        )
    note = "scenes: " + ", ".join(f"{n} {scene}" for scene, n in sorted(scenes.items()))
    return naming.catalog_of(
        root, samples, (note, *naming.partner_note("images", lacking, "a mask"))
    )


def read_road(path: Path, member: str) -> np.ndarray:
    """Read where the road is: uint8 [height width], 1 road, 0 background, 255 unknown.

    Raises:
        DataError: the picture is damaged or grey.
    """
    colours = read_image(path)
    if colours.ndim != 3:
        raise DataError(
            f"mask {path} is grey; expected magenta road, red background, black unknown"
        )
    counts, road = colours[..., 0] > 0, colours[..., 2] > 0
    return np.where(counts, road.astype(np.uint8), np.uint8(IGNORE))


def _home(root: Path) -> Path | None:
    for home in (root / "training", root / "data_road" / "training"):
        if (home / "image_2").is_dir() and (home / "gt_image_2").is_dir():
            return home
    return None
