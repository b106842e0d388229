"""The step that segments: a predictor learns annotated images, as `fewshot segment` does."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from episodes.catalog.class_names import parse_names
from episodes.errors import DataError
from episodes.io.axes import Reading
from fewshot.archive.ledger import model_files
from fewshot.inference.inputs import ImageStack
from fewshot.inference.support_set import SupportSet, read_support_set
from fewshot.lazily import lazily
from fewshot.pipeline.step import Stage, Step
from fewshot.pipeline.values import Range, checked, nearest
from fewshot.registry import PREDICTORS, register_step

if TYPE_CHECKING:
    from fewshot.inference.result import Segmentation

build = lazily("fewshot.inference.predictors.build")  # imports torch
load = lazily("fewshot.inference.predictors.load")


@register_step("segment")
@dataclass(frozen=True)
class Segment(Step):
    """Learn annotated images, and segment others like them.

    Attributes:
        support: annotated images: files, or arrays in Python.
        mask: their masks, in the same order.
        classes: what the values of masks mean, such as nucleus, or 1=liver and 2=spleen; by default
            found out from them.
        predictor: how images are segmented, such as self-configuring, end-to-end, threshold or
            pixel-forest; by default self-configuring, and end-to-end with a model or for volumes.
        model: folder of a trained model.
        method: methods that self-configuring mixes in equal parts; by default it chooses.
        size: side of the square in which images are compared by one network, in pixels.
        settings: further settings of the predictor by their names, such as threshold: 0.4.
        ignore_affine: lay masks on their images voxel for voxel, whatever NIfTI headers tell.
        any_magnification: segment images that are so much larger than the annotated ones that
            structures might vanish; by default they are refused.
    """

    stage: ClassVar[Stage] = "segment"

    support: tuple[Any, ...]
    mask: tuple[Any, ...]
    classes: tuple[str, ...] | Mapping[str, str] = ()
    predictor: str | None = None
    model: Path | None = None
    method: tuple[str, ...] = ()
    size: Annotated[int | None, Range(32, 2**16)] = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    ignore_affine: bool = False
    any_magnification: bool = False

    def check(self) -> None:
        """Refuse what is no image, predictors that do not exist, and values without a name."""
        for name in ("support", "mask"):
            images = tuple(_image(each, name) for each in getattr(self, name))
            object.__setattr__(self, name, images)
        if len(self.support) != len(self.mask) or not self.support:
            raise DataError(
                f"segment: {len(self.support)} support images and {len(self.mask)} masks; "
                "expected at least one, and one mask an image in the same order"
            )
        if isinstance(self.classes, Mapping):
            named = tuple(f"{value}={name}" for value, name in self.classes.items())
            object.__setattr__(self, "classes", named)
        parse_names(tuple(self.classes))
        if self.predictor is not None and self.predictor not in PREDICTORS:
            raise DataError(
                f"segment: there is no predictor {self.predictor!r}; "
                f"{nearest(self.predictor, PREDICTORS.names())}"
            )

    def files(self) -> tuple[Path, ...]:
        """List the annotated images, their masks, and the files of the model."""
        given = [each for each in (*self.support, *self.mask) if isinstance(each, Path)]
        return (*given, *model_files(self.model))

    def read(self, reading: Reading) -> SupportSet:
        """Read the annotated images.

        Raises:
            DataError: see `read_support_set`.
        """
        return read_support_set(
            *(list(self.support), list(self.mask), parse_names(tuple(self.classes))),
            ignore_affine=self.ignore_affine,
            reading=reading,
        )

    def learn(self, shots: SupportSet) -> "Callable[[ImageStack], Segmentation]":
        """Build the predictor and learn.

        Args:
            shots: from `read`, preprocessed.

        Returns:
            A function that segments an image, preprocessed like the annotated ones.
        """
        name = self.predictor or load.default_predictor(shots, self.model)
        predictor = load.load_predictor(
            shots, name, self._values(name), model=self.model, size=self.size
        )
        network = getattr(predictor, "network", None)
        support = predictor.learn(shots)
        known = support if isinstance(support, tuple) else ()

        def segment(picture: ImageStack) -> "Segmentation":
            any_size = self.any_magnification
            load.check_query(shots, network, known, picture, any_size=any_size)
            result: Segmentation = predictor.segment(picture, support)
            return result

        return segment

    def _values(self, name: str) -> dict[str, Any]:
        """Hold the settings against the types of the predictor's own."""
        types = build.setting_types(PREDICTORS[name].Settings)
        given = {**self.settings, **({"method": self.method} if self.method else {})}
        if unknown := [key for key in given if key not in types]:
            raise DataError(
                f"segment: the predictor {name} has no setting {unknown[0]!r}; "
                f"{nearest(unknown[0], types)}"
            )
        return {key: checked(types[key], value, f"segment: {key}") for key, value in given.items()}


def _image(value: Any, name: str) -> Any:
    if isinstance(value, str | Path):
        return checked(Path, value, f"segment: {name}")
    if hasattr(value, "shape") or isinstance(value, ImageStack):
        return value
    raise DataError(f"segment: {name} is {value!r}; expected the path of a file, or an array")
