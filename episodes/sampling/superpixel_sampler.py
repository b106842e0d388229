"""Self-supervised episodes: superpixels are pseudo-labels, so that no annotation is needed.

Support and query are the same slice: one of its superpixels is the class, and the query is the
slice after geometric and intensity transforms.

Paper: Ouyang et al., Self-supervision with superpixels, ECCV 2020.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from episodes.augmentation.base import Transform
from episodes.augmentation.compose import Augment
from episodes.catalog.catalog import Catalog, Sample
from episodes.catalog.loader import Loader
from episodes.errors import EpisodeError
from episodes.sampling.episode import Episode, Plan
from episodes.sampling.sampler import EpisodeSource, binary_mask, episode_generator
from episodes.sampling.superpixel_cache import RegionCache
from episodes.sampling.superpixels import Felzenszwalb, RegionFn

_REGIONS, _TRANSFORM, _SOURCE = 2, 3, 4  # streams of the generator; the sampler has others
_TRIES = 100
STRONG = Augment(rotation=20.0, translation=0.1, scale=1.3, shear=8.0, gamma=1.8, noise=0.05)


@dataclass(frozen=True)
class SuperpixelSettings:
    """Settings of a self-supervised episode.

    Attributes:
        way: regions an episode, each standing for a class.
        shot: support images a region.
        query: images to segment; query q shows at least region q modulo way.
        transformed: "one" transforms either the support or the query, in turn, and leaves the other
            as it is; "both" transforms every image by itself.
    """

    way: int = 1
    shot: int = 1
    query: int = 1
    transformed: Literal["one", "both"] = "one"

    def __post_init__(self) -> None:
        for name in ("way", "shot", "query"):
            if getattr(self, name) < 1:
                raise EpisodeError(f"{name} is {getattr(self, name)}; expected at least 1")
        if self.transformed not in ("one", "both"):
            raise EpisodeError(f"transformed is {self.transformed!r}; expected 'one' or 'both'")

    def transforms_support(self, index: int) -> bool:
        """Whether the support of an episode is transformed."""
        return self.transformed == "both" or index % 2 == 0

    def transforms_query(self, index: int) -> bool:
        """Whether the queries of an episode are transformed."""
        return self.transformed == "both" or index % 2 == 1


def superpixels(
    image: Tensor, min_area_fraction: float = 0.006, background_intensity: float = 0.05
) -> np.ndarray:
    """Segment an image into superpixels, without its dark background.

    Args:
        image: [channel height width] in [0, 1].
        min_area_fraction: smallest region, as a fraction of the image; 0.006 is 400 pixels of 256².
        background_intensity: regions whose mean is not above this are background.

    Returns:
        uint16 [height width]; 0 for the background, regions from 1, every one of which can be
        drawn.
    """
    return Felzenszwalb(
        min_area_fraction=min_area_fraction, background_intensity=background_intensity
    )(image)


class SuperpixelSampler:
    """Draws episodes from the superpixels of one image each; a pure function of (seed, i).

    Support and query are the same image, transformed differently; so are further shots and
    queries, which are always transformed.

    Args:
        catalog: images; their masks are never read.
        settings: ways, shots, queries.
        loader: reads the pixels.
        seed: a whole number from 0 to 2**64 - 1.
        transform: what makes the query, or for every other episode the support, out of the slice.
        segment_regions: makes the superpixels, e.g. `episodes.sampling.superpixels.Slic()`.
        cache: keeps them.

    Raises:
        EpisodeError: the catalog is empty.
    """

    def __init__(
        self,
        catalog: Catalog,
        settings: SuperpixelSettings | None = None,
        *,
        loader: Loader | None = None,
        seed: int = 0,
        transform: Transform = STRONG,
        segment_regions: RegionFn | None = None,
        cache: RegionCache | None = None,
    ) -> None:
        if not len(catalog):
            raise EpisodeError(f"catalog {catalog.name!r} is empty; superpixels need images")
        self.catalog, self.seed, self.transform = catalog, seed, transform
        self.settings = settings or SuperpixelSettings()
        self.loader = loader or Loader()
        self.segment_regions: RegionFn = segment_regions or Felzenszwalb()
        self.cache = cache or RegionCache()

    def episode(self, index: int) -> Episode:
        """Draw an image, some of its superpixels, and the transforms.

        Images with fewer superpixels than ways, such as empty ones, are drawn again.

        Raises:
            EpisodeError: a hundred images in a row had too few.
        """
        generator = episode_generator(self.seed, index, _REGIONS)
        way, shot, query = self.settings.way, self.settings.shot, self.settings.query
        sample, regions = self._draw(generator)
        chosen = draw_distinct(int(regions.max()), way, generator)
        numbers = np.zeros(int(regions.max()) + 1, np.uint8)
        numbers[chosen] = np.arange(1, way + 1)
        image, labels = self.loader.image(sample), torch.from_numpy(numbers[regions])
        transforming = episode_generator(self.seed, index, _TRANSFORM)

        def view(transformed: bool) -> tuple[Tensor, Tensor]:
            return self.transform(image, labels, transforming) if transformed else (image, labels)

        first = self.settings.transforms_support(index)
        support = [[view(first or number > 0) for number in range(shot)] for _ in range(way)]
        first = self.settings.transforms_query(index)
        queries = [view(first or number > 0) for number in range(query)]
        plan = Plan(
            index,
            ("superpixel",) * way,
            ((sample.key,) * shot,) * way,
            (sample.key,) * query,
            (sample.subject,) * query,
        )
        return assemble(support, queries, plan)

    def _draw(self, generator: np.random.Generator) -> tuple[Sample, np.ndarray]:
        for _ in range(_TRIES):
            sample = self.catalog.samples[int(generator.integers(len(self.catalog)))]
            regions = self._regions(sample)
            if regions.max() >= self.settings.way:
                return sample, regions
        few = "no superpixel" if self.settings.way == 1 else f"less than {self.settings.way}"
        raise EpisodeError(
            f"a hundred images of {self.catalog.name!r} in a row have {few}; are the images empty?"
        )

    def _regions(self, sample: Sample) -> np.ndarray:
        return self.cache.get(
            f"{sample.image} {self.loader.size} {self.segment_regions!r}",
            self.segment_regions,
            lambda: self.loader.image(sample).numpy(),
            lambda pixels: self.segment_regions(torch.from_numpy(pixels)),
        )


def draw_distinct(count: int, way: int, generator: np.random.Generator) -> list[int]:
    """Draw `way` different numbers from 1 to `count`, both included."""
    chosen: list[int] = []
    while len(chosen) < way:
        number = int(generator.integers(1, count + 1))
        if number not in chosen:
            chosen.append(number)
    return chosen


def assemble(
    support: Sequence[Sequence[tuple[Tensor, Tensor]]],
    queries: Sequence[tuple[Tensor, Tensor]],
    plan: Plan,
) -> Episode:
    """Make an episode of images and label maps over its ways.

    Args:
        support: [way][shot] of (image, labels).
        queries: [query] of (image, labels).
        plan: its classes and sample keys.
    """
    return Episode(
        torch.stack([torch.stack([image for image, _ in row]) for row in support]),
        torch.stack(
            [
                torch.stack([binary_mask(labels, way) for _, labels in row])
                for way, row in enumerate(support, start=1)
            ]
        ),
        torch.stack([image for image, _ in queries]),
        torch.stack([labels for _, labels in queries]),
        plan,
    )


class Mixture:
    """Takes each episode from one of several sources, drawn by their weights.

    Args:
        sources: where episodes come from.
        weights: relative frequency of each source; positive numbers.
        seed: a whole number from 0 to 2**64 - 1.
    """

    def __init__(
        self, sources: Sequence[EpisodeSource], weights: Sequence[float], seed: int = 0
    ) -> None:
        if len(sources) != len(weights) or not sources or min(weights) <= 0:
            raise EpisodeError(
                f"{len(sources)} sources with weights {list(weights)}; expected a positive weight "
                "for each"
            )
        self.sources, self.seed = list(sources), seed
        self.weights = np.array(weights, float) / sum(weights)

    def episode(self, index: int) -> Episode:
        """Take episode `index` from the source that is drawn for it."""
        generator = episode_generator(self.seed, index, _SOURCE)
        return self.sources[int(generator.choice(len(self.sources), p=self.weights))].episode(index)
