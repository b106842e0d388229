"""What `fewshot train` takes; other commands that train take parts of it."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, ClassVar, Literal

from tyro.conf import OmitArgPrefixes, Positional

from fewshot.experiments.choices import Choice
from fewshot.experiments.settings import DatasetSettings, HoldOut, MonitorOptions, OutputSettings
from fewshot.registry import HEADS
from fewshot.training.settings import EpisodeTraining

HeadName = Annotated[str, Choice(HEADS)]
AugmentName = Literal["none", "light", "strong", "ssl-alpnet", "medical"]


@dataclass(frozen=True)
class EpisodeMix:
    """Where training episodes come from; the labels of base classes give what shares leave over."""

    superpixels: float | None = None
    """Share of episodes made of superpixels; by default 1 with fewer than ten base classes, else
    0.5, less the shares below."""
    supervoxels: float = 0.0
    """Share of episodes made of supervoxels, seen in neighbouring slices of volumes."""
    synthetic: float = 0.0
    """Share of generated episodes, of which there is no end."""
    augment: AugmentName | None = None
    """How images are changed; by default strongly for regions and lightly for labels."""


@dataclass(frozen=True, kw_only=True)
class SegmenterMonitor(MonitorOptions):
    """What is measured while a segmenter trains."""

    validation_episodes: int = 20
    """Episodes a score."""
    pictures: int | None = None
    """Steps between pictures of what the model does, in pictures/; by default none are drawn."""


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """What every command that trains takes."""

    resume: bool = False
    """Go on with the run in --out where it was stopped."""
    output: OmitArgPrefixes[OutputSettings] = field(default_factory=OutputSettings)
    recipe: str | None = None
    """Take the settings of this recipe (`fewshot recipes`); other options replace single ones."""


@dataclass(frozen=True)
class Train(RunOptions):
    """Train a segmenter on a data set, holding out classes and subjects."""

    FIRST: ClassVar = (
        *("data", "out", "recipe", "novel", "classes"),
        *("subject_pattern", "head", "minutes", "resume", "overwrite"),
    )
    data: Positional[Path]
    """Folder with images and masks, or NIfTI pairs."""
    out: Path = Path("runs/model")
    """Folder for model, log and split."""
    dataset: OmitArgPrefixes[DatasetSettings] = field(default_factory=DatasetSettings)
    hold_out: OmitArgPrefixes[HoldOut] = field(default_factory=HoldOut)
    train: OmitArgPrefixes[EpisodeTraining] = field(default_factory=EpisodeTraining)
    monitor: OmitArgPrefixes[SegmenterMonitor] = field(default_factory=SegmenterMonitor)
    mix: OmitArgPrefixes[EpisodeMix] = field(default_factory=EpisodeMix)
    way: int = 1
    """Classes an episode."""
    shot: int = 1
    """Annotated images a class in an episode."""
    head: HeadName = "alpnet"
    """How pixels are compared with the support."""
    backbone: str = "tf_efficientnet_lite0"
    """Any timm model, "xfeat", or such a model with "+xfeat" behind its name for both side by side;
    weights of this one (from ImageNet) and of xfeat (from matching photographs) are installed,
    others are downloaded."""
    strides: tuple[int, ...] | None = None
    """Resolutions of the backbone to fuse; by default 8 of xfeat, 8 and 16 of any other."""
    size: int = 256
    """Side of the square in which images are compared, in pixels."""
    model: Path | None = None
    """Start from this model instead of ImageNet weights."""
