"""Annotated objects as a detector takes them, and its detections as numbered objects."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor

from episodes.io.pixels import IGNORE
from fewshot.baselines.deep.patches import Annotated, Pair, Patches
from fewshot.inference.predictors.feature_predictor import AnnotatedSlices
from fewshot.inference.preprocess import nearest_labels

Targets = dict[str, Tensor]
"""Of an image: "boxes" float32 [object 4] x, y, x, y; "labels" int64 [object]; "masks" uint8
[object height width]. Detections have "scores" [object] and masks [object 1 height width] too."""
_LEAST = 3  # pixels along each side of an object that is learned


@dataclass(frozen=True)
class AnnotatedObjects(Annotated):
    """Images whose labels are codes of objects: 0 background, 255 unknown, others one object each.

    Attributes:
        ways: class of the object of each code.
    """

    ways: tuple[int, ...] = ()


@dataclass(frozen=True)
class ObjectPatches:
    """Loads patches and their objects by item number, as lists; see `Patches`.

    Attributes:
        patches: of images whose labels are codes.
        ways: class of each code.
    """

    patches: Patches
    ways: tuple[int, ...]

    def __call__(self, indices: Sequence[int]) -> tuple[list[Tensor], list[Targets]]:
        """Load images float32 [3 side side] and their objects; unknown pixels are black."""
        pairs = [self.patches.patch(index) for index in indices]
        images = [torch.where(codes == IGNORE, 0, image) for image, codes in pairs]
        return images, [targets_of(codes, self.ways) for _, codes in pairs]


def annotated_objects(
    annotated: AnnotatedSlices, images: Sequence[tuple[np.ndarray, np.ndarray]]
) -> AnnotatedObjects:
    """Give every object of the annotated planes a code.

    Objects are those that the masks number, else the connected parts of each class.

    Args:
        annotated: the planes.
        images: of them, scaled, [height width channel] and labels [height width].
    """
    ways, pairs = [0], []
    for (number, plane), (image, labels) in zip(annotated.planes, images, strict=True):
        numbered = annotated.shots.objects
        codes = np.where(labels == IGNORE, IGNORE, 0)
        for way in range(1, len(annotated.shots.names) + 1):
            if numbered is None:
                numbers = ndimage.label(labels == way, np.ones((3, 3)))[0]
            else:
                own = numbered[number][plane].astype(np.float32)
                numbers = np.where(labels == way, nearest_labels(own, labels.shape), 0)
            for each in np.unique(numbers[numbers > 0]):
                if len(ways) == IGNORE:
                    ways.append(0)  # of the code that stands for unknown pixels
                codes[numbers == each] = len(ways)
                ways.append(way)
        pairs.append((image, codes.astype(np.int32)))
    return AnnotatedObjects(Annotated.of(pairs).pairs, tuple(ways))


def targets_of(codes: Tensor, ways: Sequence[int]) -> Targets:
    """List the objects of codes [height width]; what is hardly seen is left out.

    >>> codes = torch.zeros(5, 6, dtype=torch.int32)
    >>> codes[1:4, 2:6] = 1
    >>> targets_of(codes, (0, 7))["boxes"].tolist(), targets_of(codes, (0, 7))["labels"].tolist()
    ([[2.0, 1.0, 6.0, 4.0]], [7])
    """
    boxes, labels, masks = [], [], []
    for code in torch.unique(codes).tolist():
        if code in (0, IGNORE):
            continue
        mask = codes == code
        rows, columns = (torch.nonzero(mask.any(dim=axis))[:, 0] for axis in (1, 0))
        box = [int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1]
        if min(box[2] - box[0], box[3] - box[1]) >= _LEAST:
            boxes.append(box)
            labels.append(ways[code])
            masks.append(mask)
    return {
        "boxes": torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4),
        "labels": torch.tensor(labels, dtype=torch.int64),
        "masks": torch.stack(masks).to(torch.uint8)
        if masks
        else torch.zeros((0, *codes.shape), dtype=torch.uint8),
    }


def sizes_of(pairs: Sequence[Pair], ways: Sequence[int]) -> tuple[float, float, float]:
    """Sides of small, middling and large objects, in pixels, for the anchors of three levels."""
    boxes = torch.cat([targets_of(codes, ways)["boxes"] for _, codes in pairs])
    if not len(boxes):
        return 8.0, 16.0, 32.0
    sides = ((boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])).sqrt().numpy()
    small, middle, large = (float(each) for each in np.quantile(sides, (0.1, 0.5, 0.9)))
    return max(2.0, min(small, middle / 1.4)), middle, max(large, middle * 1.4)


def paint(found: Targets, least: float, shape: tuple[int, int]) -> tuple[np.ndarray, ...]:
    """Number detections, the surest first; one that is mostly covered by surer ones is left out.

    Args:
        found: detections; masks are probabilities.
        least: score of detections that are kept.
        shape: of the image that is painted, to which masks are enlarged.

    Returns:
        Numbers int32 [height width], and class and score of each object.
    """
    numbers = np.zeros(shape, np.int32)
    ways, scores = [], []
    for place in torch.argsort(found["scores"], descending=True, stable=True).tolist():
        if found["scores"][place] < least:
            break
        mask = enlarged(found["masks"][place], shape) >= 0.5
        free = mask & (numbers == 0)
        if free.sum() > 0.5 * mask.sum():
            ways.append(int(found["labels"][place]))
            scores.append(float(found["scores"][place]))
            numbers[free] = len(ways)
    return numbers, np.array(ways, np.int64), np.array(scores)


def enlarged(mask: Tensor, shape: tuple[int, int]) -> np.ndarray:
    """Bring a mask of probabilities [1 height width] to another size: float32 [height width]."""
    if mask.shape[1:] != shape:
        mask = torch.nn.functional.interpolate(
            mask[None], size=shape, mode="bilinear", align_corners=False
        )[0]
    return mask[0].numpy()
