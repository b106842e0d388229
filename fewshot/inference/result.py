"""The result of segmenting an image: labels, probabilities, confidence, and how to keep them."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from episodes.catalog.letterbox import intensity_range
from episodes.io.read import ARRAY_SUFFIXES, STACK_SUFFIXES, VOLUME_SUFFIXES, stem, suffix
from episodes.io.write import write_array, write_mask
from fewshot.inference.inputs import ImageStack
from fewshot.inference.query_similarity import MIN_SIMILARITY
from fewshot.plots import overlays as pictures

MIN_EXPECTED_DICE = 0.3
"""Expected Dice below which a user is warned."""


@dataclass(frozen=True)
class Segmentation:
    """Labels of one image, stack or volume, at its own size.

    Attributes:
        labels: uint8 [depth height width], 0 background, 1..way; depth is 1 for an image.
        probabilities: float16 [label depth height width].
        class_names: the class of each label from 1.
        values: the number that stands for each class in mask files.
        source: the image that was segmented.
        query_support_similarity: whether image and support belong together at all, 0 to 1; None
            where the segmenter has no measure of it. See `fewshot.inference.query_similarity`.
        no_answer: why the labels are no answer at all; "" where they are one. See
            `fewshot.inference.magnification`.
        expected_dice: the Dice that the labels are expected to have, 0 to 1, the mean of their
            classes; None where the segmenter has no estimate.
    """

    labels: np.ndarray = field(repr=False)
    probabilities: np.ndarray = field(repr=False)
    class_names: tuple[str, ...]
    values: tuple[int, ...]
    source: ImageStack = field(repr=False)
    query_support_similarity: float | None = None
    no_answer: str = ""
    expected_dice: float | None = None

    @property
    def mask(self) -> np.ndarray:
        """Labels in the numbers of the support's mask, [height width] or [depth height width].

        Of an array, the axes are in its own order, without channels.
        """
        return self._as_source(self._numbers())

    @property
    def confidence(self) -> np.ndarray:
        """Probability of the label given to each pixel, float16, shaped like `mask`."""
        return self._as_source(self.probabilities.max(axis=0))

    def _numbers(self) -> np.ndarray:
        """Labels in the numbers of the support's mask [depth height width]."""
        table = np.array([0, *self.values], np.min_scalar_type(max(self.values)))
        return table[self.labels]

    def _as_source(self, planes: np.ndarray) -> np.ndarray:
        if self.source.is_array and self.source.structure is not None:
            return self.source.structure.from_planes(planes)
        return planes if self.source.volume else planes[0]

    @property
    def doubt(self) -> str:
        """Why the answer should not be used unseen; "" where nothing speaks against it."""
        if self.expected_dice is not None and self.expected_dice < MIN_EXPECTED_DICE:
            return (
                f"the mask of {Path(self.source.name).name} is expected to be poor (Dice about "
                f"{self.expected_dice:.2f}); look at its overlay before you use it, or annotate "
                "one more image"
            )
        if self.query_support_similarity is None or self.query_support_similarity >= MIN_SIMILARITY:
            return ""
        return (
            f"{Path(self.source.name).name} hardly looks like the annotated images (agreement "
            f"{self.query_support_similarity:.2f}); look at its overlay before you use its mask"
        )

    def areas(self) -> dict[str, int]:
        """Pixels (voxels) of each class."""
        return {
            name: int((self.labels == label).sum())
            for label, name in enumerate(self.class_names, start=1)
        }

    def summary(self) -> dict:
        """Areas, in pixels and where the spacing is known in millimetres, and confidences.

        A class's confidence is the mean probability over the pixels that got its label, None
        where there are none.
        """
        depth, height, width = self.labels.shape
        voxel = self._voxel_volume()
        classes = {}
        for label, name in enumerate(self.class_names, start=1):
            where = self.labels == label
            area = int(where.sum())
            row: dict[str, float | int | None] = {
                "value": self.values[label - 1],
                "pixels": area,
                "share": area / where.size,
                "confidence": (
                    float(self.probabilities[label][where].mean(dtype=np.float64)) if area else None
                ),
            }
            if voxel is not None:
                row["volume_mm3"] = area * voxel
            classes[name] = row
        return {
            "image": Path(self.source.name).name,
            "size": {"height": height, "width": width, **({"depth": depth} if depth > 1 else {})},
            "answer": not self.no_answer,
            **({"reason": self.no_answer} if self.no_answer else {}),
            "agreement": self.query_support_similarity,
            "expected_dice": self.expected_dice,
            "classes": classes,
        }

    def overlay(self, plane: int | None = None, opacity: float = 0.45) -> np.ndarray:
        """Draw the labels over the image: uint8 [height width 3].

        Args:
            plane: which plane of a volume; by default the one with the largest area.
            opacity: of the colours, 0 to 1.
        """
        if plane is None:
            plane = int((self.labels > 0).sum(axis=(1, 2)).argmax())
        limits = intensity_range(self.source.pixels)
        return pictures.overlay(self.source.pixels[plane], self.labels[plane], limits, opacity)

    def save(self, path: Path | str) -> Path:
        """Write the mask; the ending chooses the format (PNG, TIFF, NIfTI, .npy).

        A NIfTI mask lies where its image lies. The file appears whole or not at all.

        Raises:
            DataError: the ending is none of these, or the folder cannot be written.
        """
        if suffix(Path(path)) == ".npy":
            return write_array(Path(path), self.mask)
        return write_mask(Path(path), self._numbers(), self.source.geometry)

    def default_name(self) -> str:
        """Name of the mask file for the source: its own format; PNG or TIFF where that is lossy.

        Values above 65,535 do not fit into a PNG.
        """
        plain = ".tif" if max(self.values) > 65_535 or self.source.volume else ".png"
        if self.source.path is None:
            return f"array{plain}"
        ending = suffix(self.source.path)
        if ending in ARRAY_SUFFIXES:
            return stem(self.source.path) + ".npy"
        keep = (*VOLUME_SUFFIXES, *STACK_SUFFIXES)
        return stem(self.source.path) + (ending if ending in keep else plain)

    def _voxel_volume(self) -> float | None:
        if self.source.geometry is None:
            return None
        return self.source.geometry.voxel_mm3
