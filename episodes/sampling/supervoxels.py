"""Supervoxels: cutting a volume into regions that look alike and go on from slice to slice."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from skimage.segmentation import slic
from torch import Tensor

from episodes.catalog.letterbox import Frame
from episodes.errors import DataError, EpisodeError
from episodes.io.read import read_labels
from episodes.sampling.superpixels import number

CutVolume = Callable[[Tensor, tuple[float, float, float]], np.ndarray]
"""Takes a volume [depth height width] in [0, 1] and its spacing; returns uint16 regions."""


@dataclass(frozen=True)
class SlicVoxels:
    """Compact supervoxels: k-means over intensity and place, in millimetres.

    They start out equally long in voxels along every axis; each round brings them nearer to
    being so in millimetres.

    Paper: Achanta et al., SLIC superpixels, TPAMI 2012.

    Attributes:
        count: about how many regions the volume gets.
        compactness: weight of nearness against likeness; 0.1 suits volumes in [0, 1].
        rounds: of the k-means.
        dark: regions whose mean is not above this are surroundings.
    """

    count: int = 400
    compactness: float = 0.1
    rounds: int = 5
    dark: float = 0.05

    def __call__(self, volume: Tensor, spacing: tuple[float, float, float]) -> np.ndarray:
        """Cut a volume [depth height width] in [0, 1] into uint16 regions.

        Args:
            volume: the intensities.
            spacing: of depth, height and width, in millimetres (only their ratios matter).
        """
        voxels = volume.numpy()
        return number(self.atoms(voxels, spacing), voxels, self.dark)

    def atoms(self, voxels: np.ndarray, spacing: tuple[float, float, float]) -> np.ndarray:
        """Cut without leaving anything out; numbers from 0."""
        return slic(
            voxels,
            n_segments=self.count,
            compactness=self.compactness,
            max_num_iter=self.rounds,
            spacing=spacing,
            start_label=0,
            channel_axis=None,
        )


@dataclass(frozen=True)
class MergedVoxels:
    """Supervoxels of any shape along the edges of the volume, as ADNet uses them.

    The graph-based method of Felzenszwalb and Huttenlocher (IJCV 2004), whose vertices are not
    voxels but small SLIC supervoxels: those know the spacing, and there are a thousand times
    fewer of them.

    Attributes:
        atoms: how many small supervoxels the volume is cut into first.
        min_voxels: smallest region; 5000 in abdominal scans of 256², 1000 in cardiac ones.
        scale: two regions are joined where they differ by no more than the largest difference
            within either plus scale / (its number of small supervoxels).
        dark: regions whose mean is not above this are surroundings.
    """

    atoms: int = 4000
    min_voxels: int = 5000
    scale: float = 0.03
    dark: float = 0.05

    def __call__(self, volume: Tensor, spacing: tuple[float, float, float]) -> np.ndarray:
        """Cut a volume [depth height width] in [0, 1] into uint16 regions; see `SlicVoxels`."""
        voxels = volume.numpy()
        atoms = SlicVoxels(self.atoms).atoms(voxels, spacing)
        sizes = np.bincount(atoms.ravel())
        means = np.bincount(atoms.ravel(), voxels.ravel()) / np.maximum(sizes, 1)
        joined = merge(means, sizes, neighbours(atoms), self.scale, self.min_voxels)
        return number(joined[atoms], voxels, self.dark)


def neighbours(regions: np.ndarray) -> np.ndarray:
    """List the pairs of regions that share a face.

    Args:
        regions: whole numbers from 0, any number of axes.

    Returns:
        int64 [pairs 2], each pair once, the smaller number first.

    Example:
        >>> neighbours(np.array([[0, 0, 2], [1, 1, 2]])).tolist()
        [[0, 1], [0, 2], [1, 2]]
    """
    count = int(regions.max()) + 1
    codes = []
    for axis in range(regions.ndim):
        there = np.moveaxis(regions, axis, 0).astype(np.int64)
        low, high = np.minimum(there[1:], there[:-1]), np.maximum(there[1:], there[:-1])
        codes.append(np.unique((low * count + high)[low != high]))
    return np.stack(np.divmod(np.unique(np.concatenate(codes)), count), axis=1)


def merge(
    means: np.ndarray, sizes: np.ndarray, edges: np.ndarray, scale: float, least: int
) -> np.ndarray:
    """Join regions by the criterion of Felzenszwalb and Huttenlocher, then the ones too small.

    Args:
        means: mean intensity of each region.
        sizes: its number of voxels.
        edges: pairs of neighbours [pairs 2].
        scale: see `MergedVoxels`.
        least: smallest size in voxels that a region may keep.

    Returns:
        The joined region of each region, [regions], numbers from 0 without gaps.

    Example:
        >>> edges = np.array([[0, 1], [1, 2]])
        >>> merge(np.array([0.1, 0.11, 0.9]), np.array([5, 5, 5]), edges, 0.05, 1).tolist()
        [0, 0, 1]
    """
    parent = list(range(len(means)))
    voxels, atoms, inner = sizes.tolist(), [1] * len(means), [0.0] * len(means)

    def root(region: int) -> int:
        while parent[region] != region:
            parent[region] = parent[parent[region]]
            region = parent[region]
        return region

    differences = np.abs(means[edges[:, 0]] - means[edges[:, 1]])
    order = np.argsort(differences, kind="stable")
    sorted_edges = list(zip(edges[order].tolist(), differences[order].tolist(), strict=True))
    for final in (False, True):
        for (first, second), difference in sorted_edges:
            one, two = root(first), root(second)
            if one == two:
                continue
            if final:
                join = min(voxels[one], voxels[two]) < least
            else:
                limits = (inner[each] + scale / atoms[each] for each in (one, two))
                join = difference <= min(limits)
            if join:
                parent[two] = one
                voxels[one] += voxels[two]
                atoms[one] += atoms[two]
                inner[one] = difference
    return np.unique([root(region) for region in range(len(means))], return_inverse=True)[1]


def read_supervoxels(path: Path, planes: int, frame: Frame) -> np.ndarray:
    """Read a volume of supervoxels from a file; 0 is the surroundings.

    Args:
        path: whole numbers from 0, as `episodes.io.read.read_labels` reads them.
        planes: how many the image has.
        frame: how the image's planes are fitted into a square.

    Returns:
        uint16 [planes size size], numbered from 1 without gaps.

    Raises:
        DataError: the file cannot be read, or has another grid than the image.
        EpisodeError: more than 65,535 regions.
    """
    values = read_labels(path)
    if values.shape != (planes, frame.height, frame.width):
        raise DataError(
            f"supervoxels {path} are {' x '.join(map(str, values.shape))}; expected "
            f"{planes} x {frame.height} x {frame.width} like the image"
        )
    found, numbers = np.unique(values, return_inverse=True)
    numbers = numbers.reshape(values.shape) + (0 if 0 in found else 1)
    if numbers.max() > 65535:
        raise EpisodeError(f"{path} has {len(found):,} supervoxels; expected at most 65,535")
    rows, columns = (
        ((np.arange(inner) + 0.5) * length / inner).astype(int)
        for inner, length in zip(frame.inner, (frame.height, frame.width), strict=True)
    )
    left, right, top, bottom = frame.padding
    inner = numbers[:, rows][:, :, columns].astype(np.uint16)
    return np.pad(inner, ((0, 0), (top, bottom), (left, right)))
