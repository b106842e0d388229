"""Training on a whole data set, which is read from its files while training."""

from collections.abc import Sequence
from pathlib import Path

from episodes.catalog.catalog import Catalog
from episodes.catalog.class_areas import compute_class_areas
from episodes.catalog.letterbox import Letterbox
from episodes.catalog.loader import Loader
from episodes.errors import DataError
from episodes.readers import read_catalog
from episodes.sampling.episode import to_channels
from fewshot.baselines.deep.patches import Pair
from fewshot.baselines.deep.predictor import DeepPredictor, Trained
from fewshot.baselines.image_predictor import Fitted
from fewshot.training.run import Callback

_SMALLEST = 32  # pixels, of a loader
_LOADERS = 8  # of the sizes that were read last
_CACHE = 2**27  # bytes of each


class CatalogImages:
    """The annotated images of a catalog, read when they are needed.

    Args:
        catalog: with classes and masks.
        max_side: larger images are scaled down to this side, in pixels.
    """

    def __init__(self, catalog: Catalog, max_side: int) -> None:
        self.catalog, self.max_side = catalog, max_side
        self._loaders: dict[int, Loader] = {}

    def __len__(self) -> int:
        return len(self.catalog)

    def __getitem__(self, number: int) -> Pair:
        sample = self.catalog.samples[number]
        frame = Letterbox(*sample.size, self._side(sample.size))
        loader = self._loader(frame.size)
        (height, width), (left, _, top, _) = frame.inner, frame.padding
        rows, columns = slice(top, top + height), slice(left, left + width)
        image = to_channels(loader.image(sample), 3)
        return image[:, rows, columns], loader.labels(sample, self.catalog.classes)[rows, columns]

    @property
    def longest(self) -> int:
        """The longest side of all images, in pixels."""
        return max(self._side(sample.size) for sample in self.catalog.samples)

    def _side(self, size: tuple[int, int]) -> int:
        return max(_SMALLEST, min(max(size), self.max_side))

    def _loader(self, side: int) -> Loader:
        """Keep the loaders of the sizes that were read last."""
        found = self._loaders.pop(side, None) or Loader(side, _CACHE)
        self._loaders[side] = found
        if len(self._loaders) > _LOADERS:
            del self._loaders[next(iter(self._loaders))]
        return found


def train_on_catalog(
    predictor: DeepPredictor,
    data: Path | str | Catalog,
    folder: Path | str,
    classes: Sequence[str] | None = None,
    callbacks: Sequence[Callback] = (),
    workers: int = 0,
) -> Fitted[Trained]:
    """Train a network on all annotated images of a data set, in the folder of a run.

    Args:
        predictor: whose network is trained.
        data: a folder that `read_catalog` reads, or its catalog.
        folder: of the run; a run that was stopped goes on, to the same weights.
        classes: that are told apart; all others are background. By default all.
        callbacks: of the run.
        workers: processes that read images beside the training.

    Raises:
        DataError: there is no annotated image or class, objects are to be trained on, or the folder
            holds another run.
    """
    catalog = data if isinstance(data, Catalog) else read_catalog(Path(data))
    if classes is not None:
        catalog = catalog.of_classes(classes)
    catalog = catalog.filter(lambda sample: bool(sample.masks))
    if not len(catalog) or not catalog.classes:
        raise DataError(
            f"data set {catalog.name!r} has {len(catalog)} annotated images and "
            f"{len(catalog.classes)} classes; expected at least one of each"
        )
    if getattr(predictor, "finds_objects", False):
        raise DataError(
            f"{predictor.name} trains on objects, which a data set of classes does not number; "
            "give the images and masks to baselines.fit"
        )
    if not catalog.has_areas:  # which are a part of the fingerprint
        catalog = compute_class_areas(catalog)
    images = CatalogImages(catalog, predictor.settings.max_side)
    names = tuple(catalog.classes)
    values = tuple(range(1, len(names) + 1))
    about = {"names": list(names), "values": list(values), "colour": True}
    predictor.callbacks = callbacks
    trained = predictor.train(
        *(images, images.longest, catalog.fingerprint, about, Path(folder)), workers=workers
    )
    return Fitted(names, values, True, trained)
