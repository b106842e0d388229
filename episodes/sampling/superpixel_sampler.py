"""Self-supervised episodes: superpixels stand in for classes, so that no annotation is needed.

A slice is support and query at once: one of its superpixels is the class, and the query is the
same slice deformed and recoloured. What is learnt, to find a region again by its looks, is what
segmenting a new class asks for.

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
from episodes.sampling.superpixels import Cut, Felzenszwalb

_PICK, _CHANGE, _CHOOSE = 2, 3, 4  # streams of the generator, apart from the sampler's
_TRIES = 100
STRONG = Augment(rotation=20.0, translation=0.1, scale=1.3, shear=8.0, gamma=1.8, noise=0.05)


@dataclass(frozen=True)
class PseudoSettings:
    """What a self-supervised episode looks like.

    Attributes:
        way: regions an episode, each standing for a class.
        shot: support images a region.
        query: images to segment; query q shows at least region q modulo way.
        change: "one" transforms either the support or the query, in turn, and leaves the other as
            it is; "both" transforms every image by itself.
    """

    way: int = 1
    shot: int = 1
    query: int = 1
    change: Literal["one", "both"] = "one"

    def __post_init__(self) -> None:
        for name in ("way", "shot", "query"):
            if getattr(self, name) < 1:
                raise EpisodeError(f"{name} is {getattr(self, name)}; expected at least 1")
        if self.change not in ("one", "both"):
            raise EpisodeError(f"change is {self.change!r}; expected 'one' or 'both'")

    def changes_support(self, index: int) -> bool:
        """Whether the support of an episode is transformed."""
        return self.change == "both" or index % 2 == 0

    def changes_query(self, index: int) -> bool:
        """Whether the queries of an episode are transformed."""
        return self.change == "both" or index % 2 == 1


def superpixels(image: Tensor, min_share: float = 0.006, dark: float = 0.05) -> np.ndarray:
    """Cut an image into regions that look alike, leaving out dark surroundings.

    Args:
        image: [channel height width] in [0, 1].
        min_share: smallest region, as a share of the image; 0.006 is 400 pixels of 256².
        dark: regions whose mean is not above this are surroundings.

    Returns:
        uint16 [height width]; 0 for the surroundings, regions from 1, every one of which can be
        drawn.
    """
    return Felzenszwalb(min_share=min_share, dark=dark)(image)


class PseudoSampler:
    """Draws episodes from the superpixels of one image each; a pure function of (seed, i).

    Support and query are the same image, transformed differently; so are further shots and
    queries, which are always transformed.

    Args:
        catalog: images; their masks are never read.
        settings: ways, shots, queries.
        loader: reads the pixels.
        seed: a whole number from 0 to 2**64 - 1.
        transform: what makes the query, or for every other episode the support, out of the slice.
        cut: makes the superpixels, e.g. `episodes.sampling.superpixels.Slic()`.
        cache: keeps them.

    Raises:
        EpisodeError: the catalog is empty.
    """

    def __init__(
        self,
        catalog: Catalog,
        settings: PseudoSettings | None = None,
        *,
        loader: Loader | None = None,
        seed: int = 0,
        transform: Transform = STRONG,
        cut: Cut | None = None,
        cache: RegionCache | None = None,
    ) -> None:
        if not len(catalog):
            raise EpisodeError(f"catalog {catalog.name!r} is empty; superpixels need images")
        self.catalog, self.seed, self.transform = catalog, seed, transform
        self.settings = settings or PseudoSettings()
        self.loader = loader or Loader()
        self.cut: Cut = cut or Felzenszwalb()
        self.cache = cache or RegionCache()

    def episode(self, index: int) -> Episode:
        """Draw an image, some of its superpixels, and the transforms.

        Images with fewer superpixels than ways (empty ones) are passed over.

        Raises:
            EpisodeError: a hundred images in a row had too few.
        """
        generator = episode_generator(self.seed, index, _PICK)
        way, shot, query = self.settings.way, self.settings.shot, self.settings.query
        sample, regions = self._draw(generator)
        chosen = draw_distinct(int(regions.max()), way, generator)
        numbers = np.zeros(int(regions.max()) + 1, np.uint8)
        numbers[chosen] = np.arange(1, way + 1)
        image, labels = self.loader.image(sample), torch.from_numpy(numbers[regions])
        change = episode_generator(self.seed, index, _CHANGE)

        def view(changed: bool) -> tuple[Tensor, Tensor]:
            return self.transform(image, labels, change) if changed else (image, labels)

        first = self.settings.changes_support(index)
        support = [[view(first or number > 0) for number in range(shot)] for _ in range(way)]
        first = self.settings.changes_query(index)
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
            f"{sample.image} {self.loader.size} {self.cut!r}",
            self.cut,
            lambda: self.loader.image(sample).numpy(),
            lambda pixels: self.cut(torch.from_numpy(pixels)),
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
        plan: says what they are.
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
    """Takes each episode from one of several sources, drawn by their shares.

    Args:
        sources: where episodes come from.
        shares: how often each is chosen; positive numbers.
        seed: a whole number from 0 to 2**64 - 1.
    """

    def __init__(
        self, sources: Sequence[EpisodeSource], shares: Sequence[float], seed: int = 0
    ) -> None:
        if len(sources) != len(shares) or not sources or min(shares) <= 0:
            raise EpisodeError(
                f"{len(sources)} sources with shares {list(shares)}; expected a positive share each"
            )
        self.sources, self.seed = list(sources), seed
        self.shares = np.array(shares, float) / sum(shares)

    def episode(self, index: int) -> Episode:
        """Take episode `index` from the source that is drawn for it."""
        generator = episode_generator(self.seed, index, _CHOOSE)
        return self.sources[int(generator.choice(len(self.sources), p=self.shares))].episode(index)
