"""Self-supervised episodes: superpixels stand in for classes, so that no annotation is needed.

A slice is support and query at once: one of its superpixels is the class, and the query is the
same slice deformed and recoloured. What is learnt, to find a region again by its looks, is what
segmenting a new class asks for.

Paper: Ouyang et al., Self-supervision with superpixels, ECCV 2020.
"""

from collections.abc import Sequence

import numpy as np
import torch
from skimage.segmentation import felzenszwalb
from torch import Tensor

from episodes.augment import Augment
from episodes.catalog import Catalog, Sample
from episodes.episode import Episode, Plan
from episodes.errors import EpisodeError
from episodes.load import Loader
from episodes.sampler import EpisodeSource, episode_generator

_PICK, _CHANGE, _CHOOSE = 2, 3, 4  # streams of the generator, apart from the sampler's
STRONG = Augment(rotation=20.0, translation=0.1, scale=1.3, shear=8.0, gamma=1.8, noise=0.05)


def superpixels(image: Tensor, min_share: float = 0.006, dark: float = 0.05) -> np.ndarray:
    """Cut an image into regions that look alike, leaving out dark surroundings.

    Args:
        image: [channel height width] in [0, 1].
        min_share: smallest region, as a share of the image; 0.006 is 400 pixels of 256².
        dark: regions whose mean is not above this are surroundings.

    Returns:
        uint8 [height width]; 0 for the surroundings, regions from 1, every one of which can be
        drawn. Of more than 254 regions the rest counts as surroundings.
    """
    pixels = image.mean(dim=0).numpy()
    regions = felzenszwalb(
        pixels, scale=1, sigma=1, min_size=max(1, round(min_share * pixels.size))
    )
    area = np.bincount(regions.ravel())
    keep = np.bincount(regions.ravel(), pixels.ravel()) > dark * area
    numbers = np.cumsum(keep) * keep
    numbers[numbers > 254] = 0
    return numbers[regions].astype(np.uint8)


class PseudoSampler:
    """Draws one-way one-shot episodes from superpixels; a pure function of (seed, i).

    Args:
        catalog: images; their masks are never read.
        loader: reads the pixels.
        seed: a whole number from 0 to 2**64 - 1.
        transform: what makes the query, or for every other episode the support, out of the slice.

    Raises:
        EpisodeError: the catalog is empty.
    """

    def __init__(
        self,
        catalog: Catalog,
        *,
        loader: Loader | None = None,
        seed: int = 0,
        transform: Augment = STRONG,
    ) -> None:
        if not len(catalog):
            raise EpisodeError(f"catalog {catalog.name!r} is empty; superpixels need images")
        self.catalog, self.seed, self.transform = catalog, seed, transform
        self.loader = loader or Loader()
        self._regions: dict[str, np.ndarray] = {}

    def episode(self, index: int) -> Episode:
        """Draw a slice, one of its superpixels, and the deformation.

        Slices without any superpixel (empty ones) are passed over.

        Raises:
            EpisodeError: a hundred slices in a row had none.
        """
        generator = episode_generator(self.seed, index, _PICK)
        for _ in range(100):
            sample = self.catalog.samples[int(generator.integers(len(self.catalog)))]
            regions = self._cut(sample)
            count = int(regions.max())
            if count:
                break
        else:
            raise EpisodeError(
                f"a hundred images of {self.catalog.name!r} in a row have no superpixel; "
                "are the images empty?"
            )
        labels = torch.from_numpy((regions == generator.integers(1, count + 1)).astype(np.uint8))
        image = self.loader.image(sample)
        pairs = [(image, labels), self._changed(image, labels, index)]
        (support, mask), (query, target) = pairs if index % 2 else pairs[::-1]
        plan = Plan(index, ("superpixel",), ((sample.key,),), (sample.key,), (sample.subject,))
        return Episode(support[None, None], mask[None, None], query[None], target[None], plan)

    def _changed(self, image: Tensor, labels: Tensor, index: int) -> tuple[Tensor, Tensor]:
        return self.transform(image, labels, episode_generator(self.seed, index, _CHANGE))

    def _cut(self, sample: Sample) -> np.ndarray:
        # One byte a pixel: 1000 slices of 256² take 64 MB.
        if sample.key not in self._regions:
            self._regions[sample.key] = superpixels(self.loader.image(sample))
        return self._regions[sample.key]


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
