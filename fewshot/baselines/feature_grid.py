"""The truth brought to a feature grid and back: what the grid alone lets a head reach."""

import numpy as np
import torch
from torch.nn import functional

from episodes.catalog.letterbox import Letterbox
from episodes.io.pixels import IGNORE


def through_grid(mask: np.ndarray, size: int, stride: int) -> np.ndarray:
    """Reduce a mask to a feature grid and bring it back as logits are brought back.

    Each position of the grid gets the share of its known pixels that the class has; the map is
    enlarged bilinearly, as `Frame.restore` does with logits, and cut at one half.

    Args:
        mask: uint8 [height width], 0, 1, 255 unknown.
        size: side of the square in which images are compared, in pixels.
        stride: pixels a position of the grid; divides size.

    Returns:
        bool [height width].

    >>> block = np.zeros((8, 8), np.uint8)
    >>> block[2:4, 2:4] = 1
    >>> through_grid(block, 8, 2).sum(), through_grid(block, 8, 8).sum()
    (np.int64(4), np.int64(0))
    """
    height, width = mask.shape
    frame = Letterbox(height, width, size)
    planes = torch.from_numpy(np.stack([mask == 1, mask != IGNORE])).float()
    marked, known = functional.avg_pool2d(
        torch.cat([frame.fit_image(plane[None]) for plane in planes]), stride
    )
    share = marked / known.clamp_min(1e-6)
    return (frame.restore(share[None])[0] > 0.5).numpy()
