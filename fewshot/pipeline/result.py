"""What a pipeline finds in one image, on the grid of that image."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fewshot.inference.inputs import ImageStack
from fewshot.lazily import lazily
from fewshot.plots import overlays

if TYPE_CHECKING:
    from fewshot.inference.instances.value import Instances
    from fewshot.inference.result import Segmentation

torch = lazily("torch")  # and so does the module of ours below
functional = lazily("torch.nn.functional")
letterbox = lazily("episodes.catalog.letterbox")

Rows = list[dict[str, Any]]

_OPACITY = 0.4


@dataclass(frozen=True, eq=False)
class PipelineResult:
    """What a pipeline found in one image.

    Attributes:
        segmentation: labels at the size of the original image.
        objects: numbered, with their classes.
        tables: rows of each analyse step, by its name.
        notes: what to know before the numbers are used.
    """

    segmentation: "Segmentation"
    objects: "Instances"
    tables: Mapping[str, Rows]
    notes: tuple[str, ...] = ()

    @property
    def doubt(self) -> str:
        """Why the answer should not be used unseen; "" where nothing speaks against it."""
        return self.segmentation.doubt

    @property
    def plane(self) -> int:
        """The plane of a volume with the largest area, from 0, which `overlay` shows."""
        return int((self.segmentation.labels > 0).sum(axis=(1, 2)).argmax())

    def summary(self) -> dict[str, Any]:
        """Areas and confidences; see `Segmentation.summary`."""
        return self.segmentation.summary()

    def save(self, path: Path | str) -> Path:
        """Write the mask of the classes; see `Segmentation.save`."""
        return self.segmentation.save(path)

    def overlay(self) -> np.ndarray:
        """Draw the classes in colours, and the outline of every object: uint8 [height width 3]."""
        source, labels = self.segmentation.source, self.segmentation.labels[self.plane]
        drawn = labels > 0
        return overlays.blend(
            overlays.to_rgb(source.pixels[self.plane], letterbox.intensity_range(source.pixels)),
            overlays.COLOURS[(labels.astype(np.int64) - 1) % len(overlays.COLOURS)],
            drawn,
            overlays.outline(self.objects.labels[self.plane]) & drawn,
            _OPACITY,
        )


def restored(result: "Segmentation", picture: ImageStack) -> "Segmentation":
    """Bring a segmentation onto the grid of the original image."""
    if result.labels.shape == picture.pixels.shape[:3]:
        return replace(result, source=picture)
    small = torch.from_numpy(result.probabilities)[None].float()
    size = picture.pixels.shape[:3]
    large = functional.interpolate(small, size=size, mode="trilinear", align_corners=False)[0]
    labels = large.argmax(dim=0).to(torch.uint8).numpy()
    return replace(result, source=picture, labels=labels, probabilities=large.half().numpy())
