"""A pipeline as a value: steps in order, learned once, run on any number of images."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from episodes.errors import DataError
from episodes.io.axes import Reading
from fewshot.inference.inputs import ImageLike, ImageStack, image_planes
from fewshot.inference.pixel_size import pixel_size
from fewshot.inference.support_set import SupportSet
from fewshot.lazily import lazily
from fewshot.pipeline.analyse.separate import Separate
from fewshot.pipeline.preprocess.resample import Resample
from fewshot.pipeline.result import PipelineResult, restored
from fewshot.pipeline.segment import Segment
from fewshot.pipeline.step import (
    STAGES,
    AnalyseStep,
    FuseStep,
    PostprocessStep,
    PreprocessStep,
    SeparateStep,
    Step,
    label_of,
)

if TYPE_CHECKING:
    from fewshot.inference.result import Segmentation

yaml_file = lazily("fewshot.pipeline.yaml_file")
preprocess = lazily("fewshot.inference.preprocess")  # imports torch


@dataclass(frozen=True)
class Pipeline:
    """Preprocess, segment, fuse, post-process, separate and analyse, always in this order.

    ```
    pipeline = Pipeline((
        Denoise("median", size=3),
        Segment(support="cell.png", mask="cell_mask.png", predictor="threshold"),
        LeastSize("20 px"),
        Objects(),
    ))
    pipeline.run("another.png").tables["objects"]
    ```

    Attributes:
        steps: in the order in which they are applied.
        name: of the pipeline, for its report.
        axes, channels: how arrays and stacks are read, see `episodes.io.axes.Reading`.

    Raises:
        DataError: nothing segments, several segment steps are not fused, a step stands in the
            wrong place, or two results would have one name.
    """

    steps: tuple[Step, ...]
    name: str = ""
    axes: str | None = None
    channels: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "steps", tuple(self.steps))
        object.__setattr__(self, "channels", tuple(self.channels))
        if wrong := [step for step in self.steps if not isinstance(step, Step)]:
            raise DataError(f"a step is {wrong[0]!r}; expected one such as Denoise()")
        _check_order(self.steps)
        self.reading  # noqa: B018 - it checks axes and channels

    @staticmethod
    def from_yaml(text: str, folder: Path | None = None) -> "Pipeline":
        """Make a pipeline of YAML, which executes nothing; see `fewshot.pipeline.yaml_file`.

        Args:
            text: with the key steps.
            folder: paths are relative to it; by default they stay as they are.

        Raises:
            DataError: there is no such step, whose nearest is named, or a value does not fit.
        """
        found: Pipeline = yaml_file.parse_pipeline(text, folder)
        return found

    def to_yaml(self, folder: Path | None = None) -> str:
        """Write every step with all its values, of which `from_yaml` makes an equal pipeline.

        Args:
            folder: paths are written relative to it; by default as they are.

        Raises:
            DataError: an annotated image is an array, and no file.
        """
        text: str = yaml_file.dump_pipeline(self, folder)
        return text

    @staticmethod
    def load(path: Path | str) -> "Pipeline":
        """Read a file of YAML; its paths are relative to it.

        Raises:
            DataError: it cannot be read, or see `from_yaml`.
        """
        found: Pipeline = yaml_file.load_pipeline(path)
        return found

    def save(self, path: Path | str) -> Path:
        """Write a file of YAML that `load` reads; see `to_yaml`."""
        written: Path = yaml_file.save_pipeline(self, path)
        return written

    @property
    def reading(self) -> Reading:
        """How arrays and stacks are read."""
        return Reading(self.axes, self.channels)

    def of(self, kind: type[Any]) -> list[Any]:
        """List the steps of one kind."""
        return [step for step in self.steps if isinstance(step, kind)]

    def files(self) -> tuple[Path, ...]:
        """List the files that the steps read: annotated images, their masks, models."""
        return tuple(path for step in self.steps for path in step.files())

    def read(self) -> list[SupportSet]:
        """Read the annotated images of every segment step.

        Raises:
            DataError: see `read_support_set`.
        """
        return [step.read(self.reading) for step in self.of(Segment)]

    def learn(self, supports: Sequence[SupportSet] | None = None) -> "LearnedPipeline":
        """Preprocess the annotated images and learn them.

        Args:
            supports: from `read`; read here by default.
        """
        supports = self.read() if supports is None else supports
        segment = [
            step.learn(self._prepared(shots))
            for step, shots in zip(self.of(Segment), supports, strict=True)
        ]
        return LearnedPipeline(self, tuple(segment), supports[0].names, supports[0].values)

    def run(self, image: ImageLike | ImageStack) -> PipelineResult:
        """Learn, and run on one image; `learn().run` for several.

        Raises:
            FewshotError: the image, or an annotated one, cannot be used.
        """
        return self.learn().run(image)

    def prepare(self, picture: ImageStack) -> ImageStack:
        """Apply the preprocess steps to an image."""
        for step in self.of(PreprocessStep):
            picture = step.apply(picture)
        return picture

    def _prepared(self, shots: SupportSet) -> SupportSet:
        pictures = tuple(map(self.prepare, shots.pictures))
        maps = tuple(
            _nearest(labels, picture.pixels.shape[:3])
            for labels, picture in zip(shots.maps, pictures, strict=True)
        )
        same = all(new is old for new, old in zip(maps, shots.maps, strict=True))
        objects = shots.objects if same else None  # numbers of another grid
        return replace(shots, pictures=pictures, maps=maps, objects=objects)


@dataclass(frozen=True, eq=False)
class LearnedPipeline:
    """A pipeline whose annotated images were learned; see `Pipeline.learn`.

    Attributes:
        pipeline: the steps.
        segment: from a prepared image to its segmentation, one function a segment step.
        class_names, values: of the classes, and their numbers in mask files.
    """

    pipeline: Pipeline
    segment: "tuple[Callable[[ImageStack], Segmentation], ...]" = field(repr=False)
    class_names: tuple[str, ...]
    values: tuple[int, ...]

    def run(self, image: ImageLike | ImageStack) -> PipelineResult:
        """Run all steps on one image.

        Raises:
            FewshotError: the image cannot be used.
        """
        picture = image_planes(image, self.pipeline.reading)
        prepared = self.pipeline.prepare(picture)
        results = [restored(segment(prepared), picture) for segment in self.segment]
        fuses = self.pipeline.of(FuseStep)
        result = fuses[0].fuse(results) if fuses else results[0]
        for step in self.pipeline.of(PostprocessStep):
            result = step.apply(result)
        separate = self.pipeline.of(SeparateStep) or [Separate(neck=None)]
        objects = separate[0].objects(result)
        analyses = self.pipeline.of(AnalyseStep)
        tables = {label_of(type(step)): step.rows(result, objects) for step in analyses}
        note = pixel_size(picture).note if analyses else ""
        notes = [words for words in (result.no_answer, result.doubt, note) if words]
        return PipelineResult(result, objects, tables, tuple(notes))


def _check_order(steps: Sequence[Step]) -> None:
    names = [label_of(type(step)) for step in steps]
    segments = [step for step in steps if isinstance(step, Segment)]
    fuses = sum(isinstance(step, FuseStep) for step in steps)
    if not segments:
        raise DataError(
            f"the pipeline ({', '.join(names) or 'no steps'}) segments nothing; add a segment step"
        )
    if fuses > 1 or (fuses == 1) != (len(segments) > 1):
        raise DataError(
            f"the pipeline has {len(segments)} segment and {fuses} fuse steps; expected one "
            "segment step, or several and one fuse step behind them"
        )
    for before, after in pairwise(steps):
        if STAGES.index(before.stage) > STAGES.index(after.stage):
            raise DataError(
                f"{label_of(type(after))} stands behind {label_of(type(before))}; expected all "
                f"steps of {after.stage} before those of {before.stage}"
            )
    kinds = (AnalyseStep, SeparateStep, Resample)
    once = [n for n, step in zip(names, steps, strict=True) if isinstance(step, kinds)]
    if twice := [name for name in once if once.count(name) > 1]:
        raise DataError(f"the step {twice[0]} stands in the pipeline twice; expected it once")


def _nearest(labels: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Bring a label map to another depth, height and width."""
    if labels.shape == shape:
        return labels
    places = ((np.arange(shape[0]) + 0.5) * len(labels) / shape[0]).astype(int)
    planes = [preprocess.nearest_labels(labels[place], tuple(shape[1:])) for place in places]
    return np.stack(planes)
