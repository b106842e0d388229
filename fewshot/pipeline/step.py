"""What every step of a pipeline is: a frozen value with a name, a stage and checked parameters."""

import typing
from collections.abc import Sequence
from dataclasses import MISSING, Field, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from episodes.errors import DataError
from fewshot.inference.inputs import ImageStack
from fewshot.pipeline.values import checked, nearest
from fewshot.registry import STEPS

if TYPE_CHECKING:  # it imports torch, before which a wrong file can be refused
    from fewshot.inference.instances.value import Instances
    from fewshot.inference.result import Segmentation

Stage = Literal["preprocess", "segment", "fuse", "postprocess", "separate", "analyse"]
STAGES: tuple[Stage, ...] = typing.get_args(Stage)


@dataclass(frozen=True)
class Step:
    """A step of a pipeline; its fields are checked when it is made.

    A step is a frozen dataclass, registered by `register_step` beside its definition. The types of
    its fields are those that `fewshot.pipeline.values.checked` knows, so that a step can be written
    into a file and read again. Its docstring describes them under Attributes.

    Attributes:
        stage: where in a pipeline it may stand.

    Raises:
        DataError: a value is of a wrong type, or out of range.
    """

    stage: ClassVar[Stage]

    def __post_init__(self) -> None:
        kind = type(self)
        hints, name = hints_of(kind), label_of(kind)
        for each in fields(self):
            value = checked(hints[each.name], getattr(self, each.name), f"{name}: {each.name}")
            object.__setattr__(self, each.name, value)
        self.check()

    def check(self) -> None:
        """Raise a DataError where values do not fit together."""

    def files(self) -> tuple[Path, ...]:
        """List the files that the step reads."""
        return ()


class PreprocessStep(Step):
    """A step from an image to an image, applied to annotated images and all others alike."""

    stage: ClassVar[Stage] = "preprocess"

    def apply(self, picture: ImageStack) -> ImageStack:
        """Change the pixels of an image, stack or volume."""
        raise NotImplementedError


class FuseStep(Step):
    """A step that makes one segmentation of those of several segment steps."""

    stage: ClassVar[Stage] = "fuse"

    def fuse(self, results: "Sequence[Segmentation]") -> "Segmentation":
        """Fuse segmentations of one image with the same classes."""
        raise NotImplementedError


class PostprocessStep(Step):
    """A step from labels to labels."""

    stage: ClassVar[Stage] = "postprocess"

    def apply(self, result: "Segmentation") -> "Segmentation":
        """Change the labels of a segmentation."""
        raise NotImplementedError


class SeparateStep(Step):
    """A step from labels to numbered objects."""

    stage: ClassVar[Stage] = "separate"

    def objects(self, result: "Segmentation") -> "Instances":
        """Number the objects of a segmentation."""
        raise NotImplementedError


class AnalyseStep(Step):
    """A step that measures objects, in the intensities of the original image."""

    stage: ClassVar[Stage] = "analyse"

    def rows(self, result: "Segmentation", objects: "Instances") -> list[dict[str, Any]]:
        """Measure a segmentation and its objects: one row an object or a class."""
        raise NotImplementedError


def hints_of(kind: type) -> dict[str, Any]:
    """Types of the fields of a dataclass, with what they are annotated with."""
    return typing.get_type_hints(kind, include_extras=True)


def label_of(kind: type) -> str:
    """Name under which a kind of step is registered; its class's where it is not."""
    known = (name for name, part in STEPS.registered().items() if part is kind)
    return next(known, kind.__name__)


def make_step(name: object, values: dict[str, Any], where: str) -> Step:
    """Make a step of its name and parameters.

    Args:
        name: of a registered step.
        values: parameters that differ from the defaults.
        where: the place in a file, for messages.

    Raises:
        DataError: there is no such step or parameter, or a value does not fit.
    """
    if not isinstance(name, str) or name not in STEPS:
        raise DataError(f"{where}: there is no step {name!r}; {nearest(name, STEPS.names())}")
    kind = STEPS[name]
    known = [each.name for each in fields(kind)]
    if unknown := [key for key in values if key not in known]:
        raise DataError(f"{where}: {name} has no {unknown[0]!r}; {nearest(unknown[0], known)}")
    required = [f.name for f in fields(kind) if not _has_default(f) and f.name not in values]
    if required:
        raise DataError(f"{where}: {name} needs {', '.join(required)}, which is missing")
    try:
        return kind(**values)
    except DataError as error:
        raise DataError(f"{where}: {error}") from None


def _has_default(field: Field[Any]) -> bool:
    return field.default is not MISSING or field.default_factory is not MISSING
