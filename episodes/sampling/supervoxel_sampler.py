"""Self-supervised episodes from volumes: one supervoxel, in neighbouring slices.

Support and query are different slices, so the change of shape from one to the other is the real
one of the anatomy, not only one that a transform makes up.

Paper: Hansen et al., Anomaly detection-inspired few-shot medical image segmentation (ADNet),
Medical Image Analysis 2022.
"""

import itertools
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from episodes.augmentation.base import Transform
from episodes.catalog.catalog import Catalog, Sample
from episodes.catalog.letterbox import Letterbox
from episodes.catalog.loader import Loader
from episodes.errors import DataError, EpisodeError
from episodes.io.read import read_header
from episodes.sampling.episode import Episode, Plan
from episodes.sampling.sampler import episode_generator
from episodes.sampling.superpixel_cache import RegionCache
from episodes.sampling.superpixel_sampler import STRONG, SuperpixelSettings, assemble
from episodes.sampling.supervoxels import MergedVoxels, VolumeRegionFn, read_supervoxels

_PICK, _TRANSFORM = 20, 21  # streams of the generator
_TRIES = 100


class SupervoxelSampler:
    """Draws episodes from supervoxels; a pure function of (seed, i).

    A volume is drawn, then supervoxels that are large enough in enough neighbouring slices, then
    the slices: for each way a run of them, its shots and queries at the two ends of the run.

    Args:
        catalog: slices of volumes or stacks; their masks are never read.
        settings: ways, shots, queries.
        loader: reads the pixels.
        seed: a whole number from 0 to 2**64 - 1.
        transform: changes the support or the queries, or both (settings.transformed).
        segment_regions: makes the supervoxels.
        files: the file of existing supervoxels of each image file, instead of `cut`.
        min_area: pixels that a supervoxel needs in each of its slices.
        cache: keeps the supervoxels.

    Raises:
        EpisodeError: the catalog has no volume of several slices.
        DataError: an image file has no file of supervoxels.
    """

    def __init__(
        self,
        catalog: Catalog,
        settings: SuperpixelSettings | None = None,
        *,
        loader: Loader | None = None,
        seed: int = 0,
        transform: Transform = STRONG,
        segment_regions: VolumeRegionFn | None = None,
        files: Mapping[Path, Path] | None = None,
        min_area: int = 200,
        cache: RegionCache | None = None,
    ) -> None:
        self.volumes = contiguous_runs(catalog)
        for run in self.volumes:
            if files is not None and run[0].image.path not in files:
                raise DataError(
                    f"{run[0].image.path} has no file of supervoxels; name one for every image"
                )
        if min_area < 1:
            raise EpisodeError(f"min_area is {min_area} pixels; expected at least 1")
        self.catalog, self.seed, self.transform, self.files = catalog, seed, transform, files
        self.settings, self.loader = settings or SuperpixelSettings(), loader or Loader()
        self.segment_regions: VolumeRegionFn = segment_regions or MergedVoxels()
        self.cache, self.min_area = cache or RegionCache(), min_area
        self._areas: dict[int, np.ndarray] = {}

    def episode(self, index: int) -> Episode:
        """Draw a volume, supervoxels, slices and transforms.

        Raises:
            EpisodeError: a hundred volumes in a row had too few supervoxels that are large enough.
        """
        generator = episode_generator(self.seed, index, _PICK)
        settings = self.settings
        volume, runs = self._draw(generator)
        slices, regions = self.volumes[volume], self.regions(volume)
        numbers = np.zeros(int(regions.max()) + 1, np.uint8)
        numbers[[region for region, _ in runs]] = np.arange(1, settings.way + 1)
        change = episode_generator(self.seed, index, _TRANSFORM)

        def view(plane: int, changed: bool) -> tuple[Tensor, Tensor]:
            image, labels = self.loader.image(slices[plane]), numbers[regions[plane]]
            pair = image, torch.from_numpy(labels)
            return self.transform(*pair, change) if changed else pair

        shots = [run[: settings.shot] for _, run in runs]
        rest = [list(run[settings.shot :]) for _, run in runs]
        queries = [rest[q % settings.way].pop(0) for q in range(settings.query)]
        first = settings.transforms_support(index)
        support = [[view(plane, first) for plane in row] for row in shots]
        query = [view(plane, settings.transforms_query(index)) for plane in queries]
        plan = Plan(
            index,
            ("supervoxel",) * settings.way,
            tuple(tuple(slices[plane].key for plane in row) for row in shots),
            tuple(slices[plane].key for plane in queries),
            tuple(slices[plane].subject for plane in queries),
        )
        return assemble(support, query, plan)

    def regions(self, volume: int) -> np.ndarray:
        """The supervoxels of a run of slices: uint16 [depth size size], 0 for the surroundings."""
        slices = self.volumes[volume]
        path, size = slices[0].image.path, self.loader.size
        planes = [sample.image.plane or 0 for sample in slices]
        name = f"{path}#{planes[0]}-{planes[-1]} {size}"
        if self.files is not None:
            source, frame = self.files[path], Letterbox(*slices[0].size, size)
            return self.cache.remember(
                f"{name} {source}",
                lambda: read_supervoxels(source, read_header(path).planes, frame)[planes],
            )
        spacing = _spacing(path)
        return self.cache.get(
            f"{name} {self.segment_regions!r}",
            (self.segment_regions, spacing),
            lambda: torch.stack([self.loader.image(s).mean(0) for s in slices]).numpy(),
            lambda voxels: self.segment_regions(torch.from_numpy(voxels), spacing),
        )

    def candidates(self, volume: int, length: int) -> dict[int, np.ndarray]:
        """Where a run of slices can start: each supervoxel with its first slices.

        Args:
            volume: number of the run of slices in `volumes`.
            length: number of neighbouring slices, in each of which it has `min_area` pixels.
        """
        large = self._area_table(volume) >= self.min_area
        starts = len(large) - length + 1
        windows = np.array([large[start : start + length].all(axis=0) for start in range(starts)])
        return {
            region: np.flatnonzero(windows[:, region])
            for region in range(1, large.shape[1])
            if windows[:, region].any()
        }

    def _draw(self, generator: np.random.Generator) -> tuple[int, list[tuple[int, list[int]]]]:
        """Draw a volume, and for each way a supervoxel and its slices, the shots first."""
        settings = self.settings
        # Query q belongs to way q modulo way: the first ways may have one more.
        lengths = [
            settings.shot + -(-(settings.query - w) // settings.way) for w in range(settings.way)
        ]
        for _ in range(_TRIES):
            volume = int(generator.integers(len(self.volumes)))
            if len(self.volumes[volume]) < max(lengths):
                continue
            found = self.candidates(volume, max(lengths))
            if len(found) < settings.way:
                continue
            chosen = generator.permutation(list(found))[: settings.way].tolist()
            runs = []
            for region, length in zip(chosen, lengths, strict=True):
                start = int(found[region][generator.integers(len(found[region]))])
                run = list(range(start, start + length))
                runs.append((region, run if generator.random() < 0.5 else run[::-1]))
            return volume, runs
        raise EpisodeError(
            f"a hundred volumes of {self.catalog.name!r} in a row have less than {settings.way} "
            f"supervoxels with {self.min_area} pixels in {max(lengths)} neighbouring slices; "
            "lower min_area, or ask for fewer shots and queries or for larger supervoxels"
        )

    def _area_table(self, volume: int) -> np.ndarray:
        """Pixels of each supervoxel in each slice [depth region]."""
        if volume not in self._areas:
            regions = self.regions(volume)
            count = int(regions.max()) + 1
            self._areas[volume] = np.stack(
                [np.bincount(plane.ravel(), minlength=count) for plane in regions]
            )
        return self._areas[volume]


def contiguous_runs(catalog: Catalog) -> list[list[Sample]]:
    """List the runs of neighbouring slices; a volume that lacks some slices gives several.

    A catalog lacks slices where those that show novel classes were dropped; supervoxels must not
    reach across the gap, nor be cut with the help of what was dropped.

    Raises:
        EpisodeError: there is no run of two slices.
    """
    found: dict[Path, dict[int, Sample]] = defaultdict(dict)
    for sample in catalog.samples:
        if sample.image.plane is not None:
            found[sample.image.path][sample.image.plane] = sample
    runs = []
    for _, planes in sorted(found.items()):
        # Within a run, number minus rank is constant.
        ranked = enumerate(sorted(planes))
        for _, run in itertools.groupby(ranked, key=lambda pair: pair[1] - pair[0]):
            runs.append([planes[plane] for _, plane in run])
    runs = [run for run in runs if len(run) > 1]
    if not runs:
        raise EpisodeError(
            f"catalog {catalog.name!r} has no volume of several slices; take SuperpixelSampler for "
            "single images"
        )
    return runs


def _spacing(path: Path) -> tuple[float, float, float]:
    """Distance of depth, height and width in millimetres; 1 where the file has none."""
    geometry = read_header(path).geometry
    if geometry is None:
        return 1.0, 1.0, 1.0
    lengths = np.sqrt((geometry.affine[:3, :3] ** 2).sum(axis=0))
    depth, height, width = (float(lengths[axis]) for axis in geometry.order)
    return depth, height, width
