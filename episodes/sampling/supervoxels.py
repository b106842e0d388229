"""Supervoxels of a volume: regions of similar intensity that continue from slice to slice."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from skimage.segmentation import slic
from torch import Tensor

from episodes.catalog.letterbox import Letterbox
from episodes.errors import DataError, EpisodeError
from episodes.io.read import read_labels
from episodes.sampling.superpixels import number_regions

VolumeRegionFn = Callable[[Tensor, tuple[float, float, float]], np.ndarray]
"""Takes a volume [depth height width] in [0, 1] and its spacing; returns uint16 regions."""


@dataclass(frozen=True)
class SlicVoxels:
    """Compact supervoxels: k-means over intensity and position, in millimetres.

    The initial grid is regular in voxels; each iteration brings it nearer to one that is regular
    in millimetres.

    Paper: Achanta et al., SLIC superpixels, TPAMI 2012.

    Attributes:
        n_segments: approximate number of regions in the volume.
        compactness: weight of position against intensity; 0.1 suits volumes in [0, 1].
        rounds: of the k-means.
        background_intensity: regions whose mean is not above this are background.
    """

    n_segments: int = 400
    compactness: float = 0.1
    rounds: int = 5
    background_intensity: float = 0.05

    def __call__(self, volume: Tensor, spacing: tuple[float, float, float]) -> np.ndarray:
        """Segment a volume [depth height width] in [0, 1] into uint16 regions.

        Args:
            volume: the intensities.
            spacing: of depth, height and width, in millimetres (only their ratios matter).
        """
        voxels = volume.numpy()
        return number_regions(self.atoms(voxels, spacing), voxels, self.background_intensity)

    def atoms(self, voxels: np.ndarray, spacing: tuple[float, float, float]) -> np.ndarray:
        """Segment the whole volume, dark background included; numbers from 0."""
        return slic(
            voxels,
            n_segments=self.n_segments,
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
    voxels but small SLIC supervoxels: those take the spacing into account, and are a thousand
    times fewer.

    Attributes:
        atoms: number of small supervoxels that are merged.
        min_voxels: smallest region; 5000 in abdominal scans of 256², 1000 in cardiac ones.
        scale: two regions are joined where they differ by no more than the largest difference
            within either plus scale / (its number of small supervoxels).
        background_intensity: regions whose mean is not above this are background.
    """

    atoms: int = 4000
    min_voxels: int = 5000
    scale: float = 0.03
    background_intensity: float = 0.05

    def __call__(self, volume: Tensor, spacing: tuple[float, float, float]) -> np.ndarray:
        """Segment a volume [depth height width] in [0, 1] into uint16 regions; see `SlicVoxels`."""
        voxels = volume.numpy()
        atoms = SlicVoxels(self.atoms).atoms(voxels, spacing)
        sizes = np.bincount(atoms.ravel())
        means = np.bincount(atoms.ravel(), voxels.ravel()) / np.maximum(sizes, 1)
        joined = merge(means, sizes, neighbours(atoms), self.scale, self.min_voxels)
        return number_regions(joined[atoms], voxels, self.background_intensity)


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
        moved = np.moveaxis(regions, axis, 0).astype(np.int64)
        low, high = np.minimum(moved[1:], moved[:-1]), np.maximum(moved[1:], moved[:-1])
        codes.append(np.unique((low * count + high)[low != high]))
    return np.stack(np.divmod(np.unique(np.concatenate(codes)), count), axis=1)


def merge(
    means: np.ndarray, sizes: np.ndarray, edges: np.ndarray, scale: float, min_voxels: int
) -> np.ndarray:
    """Merge regions by the criterion of Felzenszwalb and Huttenlocher, then those too small.

    Args:
        means: mean intensity of each region.
        sizes: its number of voxels.
        edges: pairs of neighbours [pairs 2].
        scale: see `MergedVoxels`.
        min_voxels: smallest region, in voxels.

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
            a, b = root(first), root(second)
            if a == b:
                continue
            if final:
                join = min(voxels[a], voxels[b]) < min_voxels
            else:
                limits = (inner[region] + scale / atoms[region] for region in (a, b))
                join = difference <= min(limits)
            if join:
                parent[b] = a
                voxels[a] += voxels[b]
                atoms[a] += atoms[b]
                inner[a] = difference
    return np.unique([root(region) for region in range(len(means))], return_inverse=True)[1]


def read_supervoxels(path: Path, planes: int, frame: Letterbox) -> np.ndarray:
    """Read a volume of supervoxels from a file; 0 is the background.

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
    labels, numbers = np.unique(values, return_inverse=True)
    numbers = numbers.reshape(values.shape) + (0 if 0 in labels else 1)
    if numbers.max() > 65535:
        raise EpisodeError(f"{path} has {len(labels):,} supervoxels; expected at most 65,535")
    rows, columns = (
        ((np.arange(inner) + 0.5) * length / inner).astype(int)
        for inner, length in zip(frame.inner, (frame.height, frame.width), strict=True)
    )
    left, right, top, bottom = frame.padding
    inner = numbers[:, rows][:, :, columns].astype(np.uint16)
    return np.pad(inner, ((0, 0), (top, bottom), (left, right)))
