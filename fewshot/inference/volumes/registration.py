"""Lay one volume over another, position by position, by features alone: no annotation is needed.

One shift a volume (`fewshot.inference.volumes.slice_alignment`) leaves organs two to three slices
away from where they are sought, because people differ by more than where their scan begins. Here
each position of the query's feature grid gets a place of its own in the support volume: the
features of some displacements are compared, and neighbours have to agree on theirs.

A line is fitted to the slices first, because scales differ too; displacements are counted from it.
The field is found by coupled steps: every position takes the displacement that fits best and is not
far from the field so far; the field is what they took, smoothed; and distance from it costs more at
each step (Steinbruecker et al. 2009; for volumes Heinrich et al., Siebert et al.).

Paper: Siebert, Hansen, Heinrich, Fast 3D registration with accurate optimisation and little
learning for Learn2Reg 2021, 2021.
"""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from episodes.errors import DataError
from fewshot.inference.volumes.slice_alignment import FeatureStandardizer, align_slices
from fewshot.inference.volumes.slice_position import grid_pooled_features


@dataclass(frozen=True)
class RegistrationSettings:
    """How volumes are laid over each other.

    Attributes:
        grid: side of the coarse grid on which displacements are sought, in cells.
        slices: largest displacement from the line, in slices of the support.
        cells: largest displacement within a slice, in coarse cells.
        along: what a slice of distance from the field costs, relative to a cell.
        stiffness: what a squared cell of distance from the field costs at each step, in cosine
            distance.
        lines: how often a line is fitted to the field, and the field sought again around it.
    """

    grid: int = 16
    slices: int = 6
    cells: int = 3
    along: float = 0.3
    stiffness: tuple[float, ...] = (0.0003, 0.001, 0.003, 0.01, 0.03)
    lines: int = 1


def register(
    query: Float[Tensor, "depth channel rows columns"],
    support: Float[Tensor, "support_depth channel support_rows support_columns"],
    settings: RegistrationSettings | None = None,
) -> Float[Tensor, "depth 3 rows columns"]:
    """Find the place of every query position in the support volume.

    Args:
        query, support: features of whole volumes, slices in order and in one direction.
        settings: by default those of `RegistrationSettings`.

    Returns:
        Slice, row and column in entries of the support's grid, which may lie outside of it.

    Raises:
        DataError: a volume has no slice.
    """
    settings = settings or RegistrationSettings()
    if not len(query) or not len(support):
        raise DataError(
            f"volumes of {len(query)} and {len(support)} slices; expected at least one each"
        )
    first, second = (grid_pooled_features(volume).cpu().numpy() for volume in (query, support))
    line = align_slices(first, second, FeatureStandardizer.of([first, second]))
    one, other = _coarse(query.float(), support.float(), settings.grid)
    field = displacements(one, other, line, settings)
    for _ in range(settings.lines):
        line = fit_line(line + field[0].mean(dim=(1, 2)).cpu().numpy())
        field = displacements(one, other, line, settings)
    return _places(line, field, query.shape[-2:], support.shape[-2:])


def displacements(
    query: Float[Tensor, "depth channel rows columns"],
    support: Float[Tensor, "support_depth channel rows columns"],
    line: np.ndarray,
    settings: RegistrationSettings,
) -> Float[Tensor, "3 depth rows columns"]:
    """Find the field of displacements from a line, in slices and cells.

    Args:
        query, support: features of unit length on the coarse grid.
        line: place of every query slice in slices of the support, float64 [depth].
        settings: reach, weights and steps.
    """
    depth, _, rows, columns = query.shape
    nearest = np.round(line).astype(np.int64)
    shifts = _shifts(settings).to(query.device)
    costs = _mean_of_neighbours(match_costs(query, support, nearest, settings)).flatten(1)
    weights = shifts.new_tensor([settings.along, 1.0, 1.0])
    lengths = (weights * shifts**2).sum(dim=1)
    rest = torch.as_tensor(line - nearest).to(query)[:, None, None]  # the line is no whole number
    field = query.new_zeros(3, depth, rows, columns)
    for strength in settings.stiffness:
        goal = field.clone()
        goal[0] += rest
        # weights |shift - goal|² but for what all shifts share
        away = lengths[:, None] - 2 * (weights * shifts) @ goal.flatten(1)
        taken = shifts[(costs + strength * away).argmin(dim=0)].T.reshape(field.shape).clone()
        taken[0] -= rest
        field = _mean_of_neighbours(_mean_of_neighbours(taken))
    return field


def match_costs(
    query: Float[Tensor, "depth channel rows columns"],
    support: Float[Tensor, "support_depth channel rows columns"],
    nearest: np.ndarray,
    settings: RegistrationSettings,
) -> Float[Tensor, "shift depth rows columns"]:
    """Compare every query position with those of the support around its place.

    Args:
        query, support: features of unit length.
        nearest: slice of the support around which each query slice is compared, int64 [depth].
        settings: how far.

    Returns:
        Cosine distances, in the order of shifts: slice, row, column, each rising; 1, which stands
        for nothing in common, where a shift leads out of the support.
    """
    depth, _, rows, columns = query.shape
    window, inside = _window(rows, columns, settings.cells)
    window, inside = window.to(query.device), inside.to(query.device)
    costs = query.new_ones(2 * settings.slices + 1, depth, rows * columns, window.shape[1])
    for number in range(len(costs)):
        slices = nearest + number - settings.slices
        there = np.flatnonzero((slices >= 0) & (slices < len(support)))
        likeness = query[there].flatten(2).mT @ support[slices[there]].flatten(2)
        found = likeness.gather(2, window.expand(len(there), -1, -1))
        costs[number, torch.as_tensor(there)] = torch.where(inside, 1 - found, 1.0)
    return costs.permute(0, 3, 1, 2).reshape(-1, depth, rows, columns)


def fit_line(positions: np.ndarray) -> np.ndarray:
    """Replace the places of slices by those of the straight line through them (least squares).

    >>> fit_line(np.array([1.0, 2.0, 6.0])).round(2).tolist()
    [0.5, 3.0, 5.5]
    """
    steps = np.arange(len(positions))
    return np.polyval(np.polyfit(steps, positions, min(1, len(positions) - 1)), steps)


def warp(
    values: Float[Tensor, "support_depth support_rows support_columns"],
    correspondences: Float[Tensor, "depth 3 rows columns"],
) -> Float[Tensor, "depth rows columns"]:
    """Take values of the support volume to the query, by trilinear interpolation; 0 from outside.

    Args:
        values: e.g. which share of each entry a class covers.
        correspondences: from `register`.
    """
    sizes = torch.tensor(values.shape).to(correspondences)[:, None, None]
    scaled = (2 * correspondences + 1) / sizes - 1
    return functional.grid_sample(
        values[None, None].to(correspondences),
        scaled.permute(0, 2, 3, 1).flip(-1)[None],
        padding_mode="zeros",
        align_corners=False,
    )[0, 0]


def _coarse(query: Tensor, support: Tensor, grid: int) -> tuple[Tensor, Tensor]:
    """Features on the coarse grid without what all of them share, of unit length."""
    sizes = (min(grid, query.shape[2]), min(grid, query.shape[3]))
    maps = [functional.adaptive_avg_pool2d(volume, sizes) for volume in (query, support)]
    centre = torch.stack([each.mean(dim=(0, 2, 3)) for each in maps]).mean(dim=0)
    one, other = (functional.normalize(each - centre[:, None, None], dim=1) for each in maps)
    return one, other


def _places(line: np.ndarray, field: Tensor, size: torch.Size, support: torch.Size) -> Tensor:
    """Turn displacements on the coarse grid into places on the support's own."""
    moved = functional.interpolate(field.transpose(0, 1), size=size, mode="bilinear")
    rows, columns = (
        (torch.arange(n).to(field) + 0.5) * other / n - 0.5
        for n, other in zip(size, support, strict=True)
    )
    moved[:, 0] += torch.as_tensor(line).to(field)[:, None, None]
    moved[:, 1] = moved[:, 1] * support[0] / field.shape[2] + rows[:, None]
    moved[:, 2] = moved[:, 2] * support[1] / field.shape[3] + columns
    return moved


def _shifts(settings: RegistrationSettings) -> Float[Tensor, "shift 3"]:
    slices, cells = (
        torch.arange(-reach, reach + 1.0) for reach in (settings.slices, settings.cells)
    )
    return torch.cartesian_prod(slices, cells, cells)


def _window(rows: int, columns: int, reach: int) -> tuple[Tensor, Tensor]:
    """Index of every neighbour of every position [position neighbour], and whether it exists."""
    row, column = torch.meshgrid(torch.arange(rows), torch.arange(columns), indexing="ij")
    steps = torch.cartesian_prod(*[torch.arange(-reach, reach + 1)] * 2)
    row, column = (
        each.flatten()[:, None] + step
        for each, step in zip((row, column), steps.unbind(dim=1), strict=True)
    )
    inside = (row >= 0) & (row < rows) & (column >= 0) & (column < columns)
    return row.clamp(0, rows - 1) * columns + column.clamp(0, columns - 1), inside


def _mean_of_neighbours(
    maps: Float[Tensor, "map depth rows columns"],
) -> Float[Tensor, "map depth rows columns"]:
    """Average 3 x 3 x 3 neighbours, those at the rim counting for the ones that are not there."""
    padded = functional.pad(maps[None], (1,) * 6, mode="replicate")
    return functional.avg_pool3d(padded, 3, stride=1)[0]
