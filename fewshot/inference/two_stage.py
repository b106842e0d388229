"""Look twice: find a small structure in the whole picture, then segment it in a window around it.

A structure of a few entries of the feature grid is found, but not well outlined. The annotated
pictures are therefore learned twice, whole and as windows around what is marked; a query is
segmented whole, and then again in a window of the same size around what was found. That makes the
structure larger without comparing it with the far parts of the picture, which an enlargement of
everything (`fewshot.inference.resolution`) does.
"""

from dataclasses import dataclass, replace

import numpy as np

from episodes.errors import ModelError
from episodes.io.pixels import IGNORE
from fewshot.inference.inputs import ImageLike, ImageStack
from fewshot.inference.postprocessing.settings import PostprocessSettings
from fewshot.inference.result import Segmentation
from fewshot.inference.segmenter import Segmenter
from fewshot.inference.support_set import SupportSet
from fewshot.lazily import lazily
from fewshot.models.heads import Support

ndimage = lazily("scipy.ndimage")

MOST = 0.7
"""A window of a larger share of the picture's longer side shows hardly more than the picture."""
_LEAST = 32  # pixels
_ROOM = 1.1  # window side over the extent of what was found, at least


@dataclass(frozen=True)
class TwoStageSupport:
    """Annotated pictures, learned whole and as windows.

    Attributes:
        whole: of the whole pictures.
        window: of the windows; None where the structure fills the picture.
        share: side of the windows as a share of the picture's longer side.
    """

    whole: Support
    window: Support | None
    share: float


@dataclass(frozen=True)
class Window:
    """A square part of a picture; it may reach beyond the rim, whose pixels are then repeated."""

    top: int
    left: int
    side: int

    def cut(self, planes: np.ndarray) -> np.ndarray:
        """Cut [depth height width ...] to [depth side side ...]."""
        rows, columns = (
            np.clip(np.arange(start, start + self.side), 0, length - 1)
            for start, length in zip((self.top, self.left), planes.shape[1:3], strict=True)
        )
        return planes[:, rows[:, None], columns]

    def paste(self, part: np.ndarray, whole: np.ndarray) -> None:
        """Write [... side side] into [... height width], in place."""
        height, width = whole.shape[-2:]
        top, left = max(0, self.top), max(0, self.left)
        bottom, right = min(height, self.top + self.side), min(width, self.left + self.side)
        rows = slice(top - self.top, bottom - self.top)
        columns = slice(left - self.left, right - self.left)
        whole[..., top:bottom, left:right] = part[..., rows, columns]


def window_around(marked: np.ndarray, side: int) -> Window:
    """Centre a window on marked pixels; it grows where they would not fit.

    Args:
        marked: bool [depth height width], at least one being true.
        side: of the window, in pixels.

    >>> window_around(np.eye(6, dtype=bool)[None, 2:5], 2)
    Window(top=-1, left=1, side=4)
    """
    (top, bottom), (left, right) = _extents(marked)
    side = max(side, int(np.ceil(_ROOM * max(bottom - top, right - left))))
    return Window((top + bottom - side) // 2, (left + right - side) // 2, side)


def learn_two_stage(
    segmenter: Segmenter,
    shots: SupportSet,
    factor: float = 2.5,
    *,
    size: int | None = None,
    mirror: bool = False,
) -> TwoStageSupport:
    """Learn annotated pictures whole and as windows around what is marked.

    Args:
        segmenter: the model.
        shots: annotated pictures, from `fewshot.inference.support_set.read_support_set`.
        factor: side of the windows, in extents of what is marked.
        size: side of the square in which pictures and windows are compared, in pixels; by default
            the settings' own.
        mirror: also learn the mirror images, see `Segmenter.learn`.

    Raises:
        ModelError: the factor is below 1.
    """
    if not factor >= 1:
        raise ModelError(f"zoom is {factor}; expected at least 1, such as 2.5")
    size = size or segmenter.network.settings.size
    whole = segmenter.learn_shots(shots, size=size, mirror=mirror)
    marked = [(found > 0) & (found != IGNORE) for found in shots.maps]
    share = factor * max(map(_extent_share, marked))
    if share > MOST:
        return TwoStageSupport(whole, None, share)
    pictures, maps = [], []
    for picture, found, where in zip(shots.pictures, shots.maps, marked, strict=True):
        window = window_around(where, _side(share, found))
        pictures.append(picture.with_pixels(window.cut(picture.pixels)))
        maps.append(window.cut(found))
    parts = replace(shots, pictures=tuple(pictures), maps=tuple(maps))
    window_support = segmenter.learn_shots(parts, size=size, mirror=mirror)
    return TwoStageSupport(whole, window_support, share)


def segment_two_stage(
    segmenter: Segmenter,
    image: ImageLike | ImageStack,
    support: TwoStageSupport,
    postprocess: PostprocessSettings | None = None,
    *,
    other_magnification: bool = False,
) -> Segmentation:
    """Segment an image, then again in a window around the largest part that was found.

    What lies outside of the window becomes background. Where nothing is found, or the structure
    fills the picture, the first look stands.

    Args:
        segmenter: which learned the support.
        image: as in `Segmenter.segment`.
        support: from `learn_two_stage`.
        postprocess: cues that improve both answers.
        other_magnification: see `Segmenter.segment`.
    """
    first = segmenter.segment(
        image, support.whole, postprocess, other_magnification=other_magnification
    )
    marked = first.labels > 0
    if support.window is None or not marked.any():
        return first
    window = window_around(_largest(marked), _side(support.share, marked))
    part = first.source.with_pixels(window.cut(first.source.pixels))
    second = segmenter.segment(part, support.window, postprocess, other_magnification=True)
    labels, probabilities = np.zeros_like(first.labels), np.zeros_like(first.probabilities)
    probabilities[0] = 1
    window.paste(second.labels, labels)
    window.paste(second.probabilities, probabilities)
    return replace(first, labels=labels, probabilities=probabilities)


def _extents(marked: np.ndarray) -> tuple[tuple[int, int], tuple[int, int]]:
    """First and last + 1 of rows and columns in which anything is marked, in any plane."""
    _, rows, columns = np.nonzero(marked)
    return (int(rows.min()), int(rows.max()) + 1), (int(columns.min()), int(columns.max()) + 1)


def _extent_share(marked: np.ndarray) -> float:
    (top, bottom), (left, right) = _extents(marked)
    return max(bottom - top, right - left) / max(marked.shape[1:])


def _side(share: float, planes: np.ndarray) -> int:
    return max(_LEAST, round(share * max(planes.shape[1:3])))


def _largest(marked: np.ndarray) -> np.ndarray:
    parts, count = ndimage.label(marked)
    areas = np.bincount(parts.ravel(), minlength=count + 1)
    areas[0] = 0
    return parts == areas.argmax()
