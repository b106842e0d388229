"""What each command of `fewshot` takes: one dataclass a command, its docstrings being the help.

Imports tyro and settings alone, so that `fewshot --help` answers at once. `train` has a file of its
own, `fewshot.experiments.options`.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, ClassVar, Literal

from tyro.conf import OmitArgPrefixes, Positional

from episodes.protocols.names import IMAGE_PROTOCOLS, SUBJECT_PROTOCOLS, VOLUME_PROTOCOLS
from fewshot.cli.score_options import ScoreOptions
from fewshot.experiments.choices import Choice
from fewshot.experiments.settings import DatasetSettings, MaskSettings, OutputSettings
from fewshot.inference.settings import InferenceSettings, InstanceMethod

ProtocolName = Annotated[str, Choice(VOLUME_PROTOCOLS, IMAGE_PROTOCOLS, SUBJECT_PROTOCOLS)]


@dataclass(frozen=True)
class Demo:
    """Train on base classes of bundled data, segment classes never seen (about 3 minutes)."""

    out: Path = Path("demo")
    """Folder for the pictures, the scores and the model."""
    minutes: float = 1.75
    """Time spent on training."""
    seed: int = 0
    """Of the episodes."""
    output: OmitArgPrefixes[OutputSettings] = field(default_factory=OutputSettings)


@dataclass(frozen=True)
class Evaluate:
    """Score a trained segmenter, and copy-mask, on held-out classes of held-out subjects."""

    model: Positional[Path]
    """Folder that `fewshot train` wrote; its split is used again."""
    data: Path | None = None
    """The data set; by default the one it was trained on."""
    episodes: int = 200
    """How many episodes."""
    way: int = 1
    """Classes an episode."""
    shot: int = 1
    """Annotated images a class."""
    seed: int = 0
    """Of the episodes."""
    out: Path | None = None
    """Folder for scores and pictures; by default evaluation/ in the model's folder."""
    output: OmitArgPrefixes[OutputSettings] = field(default_factory=OutputSettings)
    scores: OmitArgPrefixes[ScoreOptions] = field(default_factory=lambda: ScoreOptions(()))
    result: Path | None = None
    """Also write the whole result, with machine, settings and every case, to this JSON file."""
    headline: str = "dice"
    """Name of the mean in the result file."""
    cache: bool = True
    """Remember the areas of classes in the user's cache folder (XDG_CACHE_HOME)."""


@dataclass(frozen=True)
class ProtocolRun:
    """Score copy-mask, and a trained model, as published protocols do (docs/protocols.md)."""

    FIRST: ClassVar = (
        *("data", "protocols", "model", "fold", "support"),
        *("novel", "classes", "subject_pattern", "result", "overwrite"),
    )
    data: Positional[Path]
    """Folder with volumes and masks, each volume being a scan, in the order of their numbers; or
    with images of many classes."""
    protocols: tuple[ProtocolName, ...] = ("alpnet",)
    """Protocols: of volumes, chunks of the organ's slices (alpnet, adnet) or every slice (adnet-2,
    full-...); of images, folds of classes in a row (panet, hsnet, pfenet) or interleaved (coco);
    or all images of the test subjects from one annotated image of another subject (one-image)."""
    model: Path | None = None
    """Folder that `fewshot train` wrote; it must not have seen the fold's scans and classes."""
    untrained: bool = False
    """Also score the default network as it is installed, with features of photographs alone."""
    fold: int | None = None
    """Which fold; by default all of them."""
    folds: int | None = None
    """How many folds; by default 5 of scans, 4 of classes."""
    support: str = "published"
    """Which scan is the support: published, all (one run each), or a place such as 0; of one-image,
    whose image it is, and published is all."""
    test_subjects: tuple[str, ...] = ()
    """Subjects tested; of one-image only."""
    test_folder: str | None = None
    """Subjects tested are those with an image in this folder of the data; of one-image only."""
    novel: tuple[str, ...] = ()
    """Classes tested; by default all."""
    training_exclusion: Literal["keep", "any", "all"] = "keep"
    """Which training slices are dropped; changes what is counted as excluded, not the cases."""
    shot: int = 1
    """Annotated images; of image protocols only."""
    episodes: int | None = None
    """Episodes a run; by default as many as published; of image protocols only."""
    dataset: OmitArgPrefixes[DatasetSettings] = field(default_factory=DatasetSettings)
    inference: OmitArgPrefixes[InferenceSettings] = field(
        default_factory=lambda: InferenceSettings(predictor="slice")
    )
    result: Path | None = None
    """Also write the whole result, with machine, settings and every case, to this JSON file."""
    headline: str = "protocol"
    """Name of the scores in the result file."""
    output: OmitArgPrefixes[OutputSettings] = field(default_factory=OutputSettings)


@dataclass(frozen=True)
class Segment:
    """Segment images like the annotated ones: one picture is enough."""

    FIRST: ClassVar = (
        *("support", "mask", "query", "out", "model"),
        *("classes", "size", "tiles", "instances", "overwrite"),
    )
    support: tuple[Path, ...]
    """Annotated images (PNG, JPEG, TIFF, NIfTI)."""
    mask: tuple[Path, ...]
    """Their masks, in the same order: black and white, 0 and class numbers, or flat colours."""
    query: tuple[Path, ...]
    """Images to segment, or folders of them."""
    out: Path
    """Folder for masks, overlays and summary.json."""
    model: Path | None = None
    """Folder of a trained model; by default ImageNet features."""
    masks: OmitArgPrefixes[MaskSettings] = field(default_factory=MaskSettings)
    axes: str | None = None
    """What the axes of arrays and stacks are, where their files leave it open: a letter an axis,
    Y and X, C for channels, Z, T or others for planes, e.g. YXC, CYX, ZYX or YXZ."""
    channels: tuple[int, ...] = ()
    """Which channels to use, from 0, at most three, e.g. --channels 0 2; by default all."""
    size: int | None = None
    """Side of the square in which images are compared, in pixels; by default chosen by the size of
    the marked structures."""
    inference: OmitArgPrefixes[InferenceSettings] = field(default_factory=InferenceSettings)
    coordinates: float = 0.0
    """Weight of a position's row and column beside its features; 0 leaves them out."""
    tiles: bool = False
    """Cut images that are much larger than the annotated ones into overlapping parts of their size,
    for many fields of view at the same magnification."""
    other_magnification: bool = False
    """Images are at another magnification than the annotated ones, such as the same scene at a
    higher resolution: segment large ones as a whole, which is refused otherwise where structures
    would vanish."""
    adapt: float | None = None
    """Seconds of training on the annotated images before anything is segmented; by default none."""
    instances: InstanceMethod | None = None
    """Also number the objects: touching ones are split by the distance to the outline, by learned
    borders or by learned seeds, or by what is best on the annotated objects (auto, the same as
    --instances alone). Masks with numbered objects turn it on."""
    bowl: bool = False
    """With --instances, also write bowl.csv, the run-length file of the 2018 Data Science Bowl."""
    train_on_queries: float | None = None
    """Minutes of training on the images to segment, without labels, before anything is segmented.
    What is trained becomes one more method, used as far as it is good on the annotated images; by
    default none."""
    output: OmitArgPrefixes[OutputSettings] = field(default_factory=OutputSettings)

    def support_names(self) -> list[str]:
        """Names of the supports that are saved beside the masks."""
        if self.inference.zoom:
            return ["support", "support_window"]
        if self.inference.predictor == "self-configuring":
            return ["support"]
        if self.inference.predictor != "end-to-end":
            return []
        if self.inference.ensemble is None or len(self.support) == 1:
            return ["support"]
        return [f"support_{number}" for number in range(1, len(self.support) + 1)]


@dataclass(frozen=True)
class Run:
    """Run a pipeline of steps on images: masks, tables and a report (docs/pipeline.md)."""

    pipeline: Positional[Path | None] = None
    """File of the pipeline, YAML."""
    inputs: Positional[tuple[Path, ...]] = ()
    """Images, or folders of them."""
    out: Path | None = None
    """Folder for masks, tables (objects.csv, summary.csv) and report.html."""
    steps: bool = False
    """List the steps with their parameters, and do nothing else."""
    example: str | None = None
    """Print the example of this name, to be saved and changed, and do nothing else: nuclei or
    organ."""
    output: OmitArgPrefixes[OutputSettings] = field(default_factory=OutputSettings)


@dataclass(frozen=True)
class CountObjects:
    """Count and measure objects like the annotated ones: a row an object, a total an image."""

    FIRST: ClassVar = (
        *("support", "mask", "query", "out", "labels"),
        *("model", "classes", "predictor", "instances", "overwrite"),
    )
    out: Path
    """Folder for counts.csv, objects.csv, bowl.csv, masks and overlays."""
    support: tuple[Path, ...] = ()
    """Annotated images (PNG, JPEG, TIFF, NIfTI)."""
    mask: tuple[Path, ...] = ()
    """Their masks, in the same order: numbered objects, or a class whose parts do not touch."""
    query: tuple[Path, ...] = ()
    """Images to count in, or folders of them."""
    labels: Path | None = None
    """Count numbered objects that are there already, in this file or folder, instead."""
    masks: OmitArgPrefixes[MaskSettings] = field(default_factory=MaskSettings)
    axes: str | None = None
    """What the axes of arrays and stacks are, as in segment."""
    channels: tuple[int, ...] = ()
    """Which channels to use, from 0, at most three; by default all."""
    model: Path | None = None
    """Folder of a trained model; by default ImageNet features."""
    instances: InstanceMethod = "auto"
    """How touching objects are split: by the distance to the outline, by learned borders or by
    learned seeds; by default as is best on the annotated objects."""
    inference: OmitArgPrefixes[InferenceSettings] = field(default_factory=InferenceSettings)
    output: OmitArgPrefixes[OutputSettings] = field(default_factory=OutputSettings)


@dataclass(frozen=True)
class Calibrate:
    """Make a model's probabilities come true: fit a temperature on its training subjects."""

    model: Positional[Path]
    """Folder that `fewshot train` wrote; calibration.json is written into it."""
    data: Path | None = None
    """The data set; by default the one it was trained on."""
    episodes: int = 50
    """How many episodes are looked at."""
    superpixels: float | None = None
    """Share of episodes made of superpixels instead of labels, as in training."""
    bias: bool = False
    """Also fit a bias between background and classes, which moves borders."""
    seed: int = 1_000_003
    """Of the episodes; another than in training, so that other ones are drawn."""
    output: OmitArgPrefixes[OutputSettings] = field(default_factory=OutputSettings)


@dataclass(frozen=True)
class Inspect:
    """Tell what a data set holds, and what looks wrong."""

    data: Positional[Path]
    """Folder with images and masks, or NIfTI pairs."""
    dataset: OmitArgPrefixes[DatasetSettings] = field(default_factory=DatasetSettings)
    json: Path | None = None
    """Also write what was found to this file."""
    pictures: Path | None = None
    """Also draw some images of each class with their masks, into this folder."""
    layouts: bool = False
    """List the layouts of folders that are read, and do nothing else."""
    duplicates: bool = True
    """Read all images to look for some that are there twice."""
    output: OmitArgPrefixes[OutputSettings] = field(default_factory=OutputSettings)


@dataclass(frozen=True)
class Recipes:
    """List the named training settings: command, time, memory and the score to expect."""

    names: Positional[tuple[str, ...]] = ()
    """Those to show; by default all."""


@dataclass(frozen=True)
class Share:
    """Put a trained model into a folder for others, with a model card; also as ONNX."""

    model: Positional[Path]
    """Folder that `fewshot train` wrote."""
    out: Path
    """Folder to share."""
    output: OmitArgPrefixes[OutputSettings] = field(default_factory=OutputSettings)
    name: str | None = None
    """Name of the model in its card; by default that of the folder."""
    licence: str | None = None
    """Licence of the weights by its SPDX name, e.g. cc-by-4.0."""
    support: tuple[Path, ...] = ()
    """Annotated images: also write them condensed, and the model as an ONNX graph."""
    mask: tuple[Path, ...] = ()
    """Their masks, in the same order."""
    masks: OmitArgPrefixes[MaskSettings] = field(default_factory=MaskSettings)
