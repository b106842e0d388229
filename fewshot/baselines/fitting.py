"""A baseline by its name: fitted to annotated images, it segments others."""

import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from episodes.catalog.catalog import Catalog
from episodes.errors import ModelError
from episodes.masks.label_map import LabelMap
from fewshot.baselines.search import Chosen
from fewshot.inference.inputs import ImageLike, ImageStack, image_planes
from fewshot.inference.predictors.build import build_predictor
from fewshot.inference.result import Segmentation
from fewshot.inference.support_set import read_support_set
from fewshot.lazily import lazily
from fewshot.registry import PREDICTORS

if TYPE_CHECKING:
    from fewshot.inference.instances.value import Instances
    from fewshot.training.run import Callback

deep = lazily("fewshot.baselines.deep.predictor")  # imports what training needs
full_set = lazily("fewshot.baselines.deep.full_set")
saved = lazily("fewshot.baselines.deep.saved")


@dataclass(frozen=True, eq=False)
class FittedBaseline:
    """A baseline that was fitted to annotated images.

    Attributes:
        name: of the baseline.
        predictor: the object that commands, protocols and benchmark use, too.
        support: what it learned.
    """

    name: str
    predictor: Any
    support: Any

    @property
    def configuration(self) -> Chosen | None:
        """What was chosen on the annotated images; None where nothing can be."""
        return self.support.configuration

    def segment(self, image: ImageLike | ImageStack) -> Segmentation:
        """Segment an image, stack or volume, at its own size.

        Args:
            image: path, array or tensor, as `Segmenter.segment` takes them.

        Raises:
            DataError: it cannot be read.
        """
        return self.predictor.segment(image_planes(image), self.support)

    def instances(self, image: ImageLike | ImageStack) -> "Instances":
        """Find the objects of an image, with a baseline that finds them one by one.

        Args:
            image: see `segment`.

        Raises:
            ModelError: it finds classes alone; `InstancePredictor` splits them into objects.
        """
        if not getattr(self.predictor, "finds_objects", False):
            raise ModelError(
                f"the baseline {self.name} finds classes; fit mask-rcnn, or split them with "
                "InstancePredictor(fitted.predictor)"
            )
        return self.predictor.instances(image_planes(image), self.support)

    def save(self, folder: Path | str) -> Path:
        """Write a trained network for `load`: weights in safetensors, all else in JSON.

        Args:
            folder: made where it does not exist.

        Raises:
            ModelError: it is no network, and fitted again in seconds.
            DataError: the folder cannot be written.
        """
        if not isinstance(self.predictor, deep.DeepPredictor) or not self.support.model.network:
            raise ModelError(
                f"{self.name} has no trained network to save; keep the annotated images, and fit "
                "it again"
            )
        self.predictor.save(self.support, Path(folder))
        return Path(folder)


def fit(
    name: str,
    images: ImageLike | Sequence[ImageLike],
    masks: ImageLike | Sequence[ImageLike],
    classes: LabelMap | Sequence[str] | None = None,
    **settings: Any,
) -> FittedBaseline:
    """Fit a baseline to annotated images; its parameters are searched on them.

    Args:
        name: one of `names`.
        images: one or several, paths, arrays or tensors.
        masks: one an image, in the same order.
        classes: what the values of the masks mean; by default found out.
        settings: that differ from the baseline's own, such as the values that are tried.

    Raises:
        ModelError: there is no such baseline, or it has no such setting.
        DataError: the annotated images cannot be used, or an optional package is missing.
    """
    predictor = _built(name, settings)
    return FittedBaseline(
        name, predictor, predictor.learn(read_support_set(images, masks, classes))
    )


def train(
    name: str,
    data: Path | str | Catalog,
    folder: Path | str,
    classes: Sequence[str] | None = None,
    *,
    callbacks: "Sequence[Callback]" = (),
    workers: int = 0,
    **settings: Any,
) -> FittedBaseline:
    """Train a network on all annotated images of a data set; a run in the folder goes on.

    Args:
        name: unet or fcn.
        data: a folder that `read_catalog` reads, or a catalog.
        folder: of the run, with its log, state and model, which `load` reads.
        classes: that are told apart; all others are background. By default all.
        callbacks: of the run, see `fewshot.training.run.Callback`.
        workers: processes that read images beside the training.
        settings: that differ from the baseline's own, such as steps and batch.

    Raises:
        ModelError: there is no such baseline or setting, or it is no network of pixels.
        DataError: the data cannot be used, or the folder holds another run.
        KeyboardInterrupt: training was interrupted; the same call goes on.
    """
    predictor = _built(name, settings)
    if not isinstance(predictor, deep.DeepPredictor):
        raise ModelError(f"the baseline {name} is no network; fit it to a few annotated images")
    support = full_set.train_on_catalog(predictor, data, folder, classes, callbacks, workers)
    return FittedBaseline(name, predictor, support)


def load(folder: Path | str) -> FittedBaseline:
    """Load a trained network.

    Args:
        folder: that `FittedBaseline.save` wrote, or of a run.

    Raises:
        ModelError: there is none, or it is damaged.
    """
    about = saved.read_trained(Path(folder))
    predictor = _built(about["name"], saved.tuples(about["settings"]))
    return FittedBaseline(about["name"], predictor, predictor.load(Path(folder), about))


def names() -> tuple[str, ...]:
    """List the baselines in the order of the alphabet, without importing any of them."""
    return PREDICTORS.names_in("fewshot.baselines")


def _built(name: str, settings: dict[str, Any]) -> Any:
    if name not in names():
        near = difflib.get_close_matches(name, names(), n=1, cutoff=0.3)
        hint = f"did you mean {near[0]!r}? " if near else ""
        raise ModelError(
            f"there is no baseline {name!r}; {hint}Expected one of {', '.join(names())}"
        )
    return build_predictor(None, name, settings)
