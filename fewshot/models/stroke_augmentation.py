"""Drawings brought to one place and size, and changed in training as another hand would draw them.

Where a drawing lies on its paper and how large it is depends little on what it shows. So the
drawing is cut out around its ink before it is encoded. In training the same cut is turned, sheared,
stretched, bent and made thicker or thinner at random: all of it in one resampling of the batch. The
randomness is torch's own, like that of dropout, which a resumed run goes on with.
"""

import math
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from episodes.errors import ModelError

_TYPICAL = 0.76  # half the side of a drawing, where half the side of the paper is 1
_INK = 0.25  # darkness from which a pixel counts as ink, relative to the darkest
_LEAST = 0.15  # half the side of the smallest drawing; a dot is not blown up beyond it


@dataclass(frozen=True)
class InkSettings:
    """How drawings are cut out, and how they are changed in training.

    Attributes:
        side: of the square cut out, in pixels.
        evened: how much of the differences in size is taken away, from 0 to 1.
        view: half the side of what is cut out around a drawing of the usual size, where half the
            side of the paper is 1.
        rotation: largest angle, in degrees.
        shear: largest angle, in degrees.
        scale: largest change of size, as a natural logarithm; of the width alone half as much more.
        shift: largest shift along each axis, as a share of the side.
        bend: standard deviation of a smooth displacement, as a share of half the side.
        thickness: largest share of a pixel's growth of the lines; half as much of thinning.
    """

    side: int = 48
    evened: float = 0.5
    view: float = 0.84
    rotation: float = 15.0
    shear: float = 15.0
    scale: float = 0.25
    shift: float = 0.06
    bend: float = 0.03
    thickness: float = 0.5

    def __post_init__(self) -> None:
        if self.side < 8 or not 0 <= self.evened <= 1 or self.view <= 0:
            raise ModelError(
                f"side is {self.side}, evened {self.evened} and view {self.view}; expected at "
                "least 8 pixels, 0 to 1, and above 0"
            )
        wrong = [n for n in ("rotation", "shear") if not 0 <= getattr(self, n) < 90]
        wrong += [
            n for n in ("scale", "shift", "bend", "thickness") if not 0 <= getattr(self, n) <= 1
        ]
        if wrong:
            raise ModelError(
                f"{wrong[0]} is {getattr(self, wrong[0])}; expected degrees below 90, or 0 to 1"
            )

    def times(self, share: float) -> "InkSettings":
        """Change by a share of these changes; 0 for none."""
        names = ("rotation", "shear", "scale", "shift", "bend", "thickness")
        return replace(self, **{name: share * getattr(self, name) for name in names})


def ink_of(images: Float[Tensor, "batch channel height width"]) -> Tensor:
    """Return the darkness of images in [0, 1], whose paper is light: [batch 1 height width]."""
    return 1 - images.mean(dim=1, keepdim=True)


def ink_frames(
    ink: Float[Tensor, "batch 1 height width"], evened: float = 0.5, view: float = 0.84
) -> Float[Tensor, "batch 2 3"]:
    """Find the square around each drawing.

    Its centre is half-way between that of the ink's mass and that of its bounding box.

    Args:
        ink: darkness; a blank picture is framed as it is.
        evened: see `InkSettings`.
        view: see `InkSettings`.

    Returns:
        [scale | centre] as `torch.nn.functional.affine_grid` takes it: (column, row), where -1 and
        1 are the edges of the picture.
    """
    present = ink >= _INK * ink.amax(dim=(2, 3), keepdim=True).clamp(min=1e-3)
    mass = torch.where(present, ink, 0.0)
    centres, halves = [], []
    for axis in (3, 2):  # columns, then rows
        count = ink.shape[axis]
        places = (2 * torch.arange(count, device=ink.device) + 1) / count - 1
        other = 5 - axis
        weights = mass.sum(dim=(1, other))
        there = present.any(dim=other)[:, 0]
        low = torch.where(there, places, 2.0).amin(dim=1)
        high = torch.where(there, places, -2.0).amax(dim=1)
        mean = (weights * places).sum(dim=1) / weights.sum(dim=1).clamp(min=1e-6)
        centres.append((mean + (low + high) / 2) / 2)
        halves.append((high - low) / 2)
    half = torch.maximum(*halves).clamp(min=_LEAST)
    scale = view * (half / _TYPICAL) ** evened
    blank = ~present.any(dim=(1, 2, 3))
    scale = torch.where(blank, 1.0, scale)
    centre = torch.where(blank[:, None], 0.0, torch.stack(centres, dim=1))
    return torch.cat([torch.diag_embed(scale[:, None].expand(-1, 2)), centre[:, :, None]], dim=2)


def change_frames(
    frames: Float[Tensor, "batch 2 3"], settings: InkSettings
) -> Float[Tensor, "batch 2 3"]:
    """Turn, shear, stretch and shift frames, each by a draw of its own."""
    count = len(frames)

    def draw(largest: float) -> Tensor:
        return (2 * torch.rand(count, device=frames.device) - 1) * largest

    angle, shear = draw(math.radians(settings.rotation)), draw(math.radians(settings.shear))
    down = draw(settings.scale).exp()
    across = down * draw(settings.scale / 2).exp()
    cosine, sine, zero = angle.cos(), angle.sin(), torch.zeros_like(angle)
    turned = torch.stack([cosine, -sine, sine, cosine], dim=1).view(-1, 2, 2)
    stretched = torch.stack([across, shear.tan(), zero, down], dim=1).view(-1, 2, 2)
    shift = torch.stack([draw(2 * settings.shift), draw(2 * settings.shift)], dim=1)
    linear = frames[:, :, :2] @ turned @ stretched
    return torch.cat([linear, frames[:, :, 2:] + shift[:, :, None]], dim=2)


class InkFrame(nn.Module):
    """Cuts drawings out around their ink; at random in training."""

    def __init__(self, settings: InkSettings | None = None) -> None:
        super().__init__()
        self.settings = settings or InkSettings()

    def forward(
        self, images: Float[Tensor, "batch channel height width"], change: float | None = None
    ) -> Float[Tensor, "batch 1 side side"]:
        """Cut out.

        Args:
            images: in [0, 1], dark ink on light paper.
            change: share of the changes, 0 to 1; by default 1 in training, else 0.

        Returns:
            The ink: 0 is paper.
        """
        change = float(self.training) if change is None else change
        settings, ink = self.settings.times(change), ink_of(images)
        frames = ink_frames(ink, settings.evened, settings.view)
        if change:
            frames = change_frames(frames, settings)
        size = [len(ink), 1, settings.side, settings.side]
        grid = functional.affine_grid(frames, size, align_corners=False)
        if change and settings.bend:
            coarse = torch.randn(len(ink), 2, 5, 5, device=ink.device) * settings.bend
            smooth = functional.interpolate(
                coarse, size=size[2:], mode="bicubic", align_corners=True
            )
            grid = grid + smooth.movedim(1, -1)
        cut = functional.grid_sample(ink, grid, align_corners=False)
        return change_thickness(cut, settings.thickness) if change else cut


def change_thickness(
    ink: Float[Tensor, "batch 1 height width"], largest: float
) -> Float[Tensor, "batch 1 height width"]:
    """Blend in grown lines in half of the pictures, thinned ones in the others."""
    if not largest:
        return ink
    share = torch.rand(len(ink), 1, 1, 1, device=ink.device) * largest
    grow = torch.rand(len(ink), 1, 1, 1, device=ink.device) < 0.5
    grown = functional.max_pool2d(ink, 3, stride=1, padding=1)
    thinned = -functional.max_pool2d(-ink, 3, stride=1, padding=1)
    return torch.where(grow, ink.lerp(grown, share), ink.lerp(thinned, share / 2))
