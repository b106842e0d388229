"""Instances: numbered objects of one image, with class, score, place and size of each."""

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from episodes.catalog.letterbox import intensity_range
from episodes.errors import DataError
from episodes.io.read import ARRAY_SUFFIXES, STACK_SUFFIXES, VOLUME_SUFFIXES, stem, suffix
from episodes.io.write import write_array, write_mask
from fewshot.inference.inputs import ImageStack
from fewshot.inference.instances.table import BOX, object_rows
from fewshot.inference.pixel_size import pixel_size
from fewshot.lazily import lazily
from fewshot.plots import overlays as pictures

ndimage = lazily("scipy.ndimage")

PNG_MOST = 65_535
"""Objects that a PNG's 16 bits can number."""


@dataclass(frozen=True, eq=False)
class Instances:
    """Numbered objects of one image, stack or volume, at its own size.

    Attributes:
        labels: int32 [depth height width], 0 background, 1..n objects; depth is 1 for an image.
        classes: class of each object, 1..way [object].
        scores: mean probability of its class inside each object, 0 to 1 [object].
        class_names: the class of each way from 1.
        values: the number that stands for each class in mask files.
        source: the image.
        doubt: why the objects should not be used unseen; "" where nothing speaks against them.
    """

    labels: np.ndarray = field(repr=False)
    classes: np.ndarray = field(repr=False)
    scores: np.ndarray = field(repr=False)
    class_names: tuple[str, ...]
    values: tuple[int, ...]
    source: ImageStack = field(repr=False)
    doubt: str = ""

    def __post_init__(self) -> None:
        largest = int(self.labels.max(initial=0))
        if largest != len(self.classes) or len(self.scores) != len(self.classes):
            raise DataError(
                f"the labels number {largest} objects, and there are {len(self.classes)} classes "
                f"and {len(self.scores)} scores; expected one of each an object"
            )
        if missing := np.flatnonzero(self.areas == 0)[:3].tolist():
            raise DataError(
                f"no pixel has the number {missing[0] + 1} of {largest} objects; expected numbers "
                "without gaps, from 1"
            )

    def __len__(self) -> int:
        return len(self.classes)

    @cached_property
    def areas(self) -> np.ndarray:
        """Pixels (voxels) of each object, int64 [object]."""
        return np.bincount(self.labels.ravel(), minlength=len(self) + 1)[1:]

    @cached_property
    def boxes(self) -> np.ndarray:
        """First and behind the last plane, row and column of each object, int64 [object 6].

        The order is depth, height, width, each start before its stop.
        """
        found = ndimage.find_objects(self.labels, len(self))
        rows = [[edge for part in box for edge in (part.start, part.stop)] for box in found if box]
        return np.array(rows, np.int64).reshape(-1, 6)

    @property
    def pixel_size(self) -> tuple[float, str]:
        """Area or volume of a pixel in the file's own unit, um2 or mm3; else 1 px."""
        return pixel_size(self.source).measure(len(self.labels))

    @property
    def counts(self) -> dict[str, int]:
        """Objects of each class, 0 where there is none."""
        return {
            name: int((self.classes == way).sum()) for way, name in enumerate(self.class_names, 1)
        }

    @property
    def mask(self) -> np.ndarray:
        """The numbers, [height width] or [depth height width], in the order of an array's axes."""
        if self.source.is_array and self.source.structure is not None:
            return self.source.structure.from_planes(self.labels)
        return self.labels if self.source.volume else self.labels[0]

    def table(self) -> list[dict[str, Any]]:
        """Measure every object: one row each, in the order of their numbers.

        Returns:
            Rows with the keys of `fewshot.inference.instances.table`; none of an empty image.
        """
        size, unit = self.pixel_size
        known = {
            "image": [Path(self.source.name).name] * len(self),
            "number": np.arange(1, len(self) + 1),
            "class": [self.class_names[way - 1] for way in self.classes],
            "score": self.scores,
            "pixels": self.areas,
            "area": self.areas * size,
            "unit": [unit] * len(self),
            **dict(zip(BOX, self.boxes.T, strict=True)),
            "touches_border": self.touches_border.astype(int),
        }
        return object_rows(self.labels, self.source.pixels, known, pixel_size(self.source))

    def summary(self) -> list[dict[str, Any]]:
        """Count objects and their areas: one row a class, 0 where there is none."""
        size, unit = self.pixel_size
        rows = []
        for way, name in enumerate(self.class_names, 1):
            areas = self.areas[self.classes == way] * size
            rows.append(
                {
                    "image": Path(self.source.name).name,
                    "class": name,
                    "count": len(areas),
                    "total_area": float(areas.sum()),
                    "mean_area": float(areas.mean()) if len(areas) else None,
                    "unit": unit,
                    "touching_border": int(self.touches_border[self.classes == way].sum()),
                }
            )
        return rows

    @cached_property
    def touches_border(self) -> np.ndarray:
        """Whether each object reaches the image's edge, so that a part may be missing [object]."""
        axes = [a for a, side in enumerate(self.labels.shape) if a or side > 1]
        starts, stops = self.boxes[:, 0::2], self.boxes[:, 1::2]
        ends = np.array(self.labels.shape)
        return ((starts[:, axes] == 0) | (stops[:, axes] == ends[axes])).any(axis=1)

    def panoptic(self, divisor: int = 1000) -> np.ndarray:
        """Encode class and object in one number, class * divisor + object of that class.

        Args:
            divisor: above the number of objects of any class.

        Returns:
            int64 [depth height width]; 0 is background.

        Raises:
            DataError: there are too many objects for the divisor.
        """
        if max(self.counts.values(), default=0) >= divisor:
            raise DataError(
                f"there are up to {max(self.counts.values())} objects of a class; expected fewer "
                f"than the divisor {divisor}, choose a larger one"
            )
        codes = np.zeros(len(self) + 1, np.int64)
        for way in range(1, len(self.class_names) + 1):
            own = np.flatnonzero(self.classes == way) + 1
            codes[own] = way * divisor + np.arange(1, len(own) + 1)
        return codes[self.labels]

    def overlay(self, plane: int | None = None, opacity: float = 0.3) -> np.ndarray:
        """Draw every object in a colour that differs from its neighbours: uint8 [height width 3].

        Args:
            plane: which plane of a volume; by default the one with the largest area.
            opacity: of the areas, 0 to 1; contours are opaque.
        """
        if plane is None:
            plane = int((self.labels > 0).sum(axis=(1, 2)).argmax())
        limits = intensity_range(self.source.pixels)
        return pictures.overlay_objects(
            self.source.pixels[plane], self.labels[plane], limits, opacity
        )

    def save(self, path: Path | str) -> Path:
        """Write the numbers; the ending chooses the format (PNG, TIFF, NIfTI, .npy).

        PNG and small TIFF masks have 16 bits. A NIfTI mask lies where its image lies.

        Raises:
            DataError: the ending is none of these, a PNG is to number more than 65,535 objects, or
                the folder cannot be written.
        """
        path = Path(path)
        if suffix(path) == ".npy":
            return write_array(path, self.mask)
        if len(self) > PNG_MOST and suffix(path) == ".png":
            raise DataError(
                f"{path.name} cannot number {len(self):,} objects; expected at most {PNG_MOST:,} "
                "in a PNG, write a .tif"
            )
        kind = np.uint16 if len(self) <= PNG_MOST else np.uint32
        return write_mask(path, self.labels.astype(kind), self.source.geometry)

    def default_name(self) -> str:
        """Name of the file for the source: NAME_instances, in a format that holds the numbers."""
        plain = ".tif" if len(self) > PNG_MOST or self.source.volume else ".png"
        if self.source.path is None:
            return f"array_instances{plain}"
        ending = suffix(self.source.path)
        name = f"{stem(self.source.path)}_instances"
        if ending in ARRAY_SUFFIXES:
            return f"{name}.npy"
        return name + (ending if ending in (*VOLUME_SUFFIXES, *STACK_SUFFIXES) else plain)
