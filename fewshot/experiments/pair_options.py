"""What `fewshot match train` takes: pairs, loss, network, and how it is watched."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, ClassVar, Literal

import tyro
from tyro.conf import OmitArgPrefixes, Positional

from fewshot.experiments.choices import Choice
from fewshot.experiments.options import RunOptions
from fewshot.experiments.settings import DatasetSettings, HoldOut, MonitorOptions
from fewshot.registry import MINERS, PAIR_LOSSES
from fewshot.training.settings import TrainSettings

LossName = Annotated[str, Choice(PAIR_LOSSES)]
MiningName = Annotated[str, Choice(MINERS)]
# fmt: off
PairAugmentName = Literal["none", "light", "strong", "medical"]
# fmt: on


@dataclass(frozen=True)
class PairTraining(TrainSettings):
    """Settings of the loop; the batch is classes x images."""

    batch: Annotated[int, tyro.conf.Suppress] = 4
    learning_rate: float = 3e-4


@dataclass(frozen=True)
class PairOptions:
    """What a batch is made of, and what is learned from it."""

    identity: Literal["class", "subject"] = "subject"
    """What makes two images a positive pair: one class, or one subject."""
    classes_per_batch: int = 16
    """Classes (or subjects) in a batch."""
    images_per_class: int = 4
    """Images of each of them."""
    regions: bool = False
    """Embed the region of a class instead of the whole image."""
    disjoint_subjects: bool = False
    """The images of a class come from different subjects."""
    rotation_classes: Literal[1, 4, 8] = 1
    """Classes made of each one: 4 by turning it by quarters, 8 by mirroring too (drawings)."""
    augment: PairAugmentName = "light"
    """How images are changed."""
    loss: LossName = "triplet"
    """What is minimised."""
    margin: float | Literal["soft", "adaptive"] | None = None
    """Of triplet (0.2; soft and adaptive too), contrastive (1), circle (0.4), arcface (0.5 radians)
    and proxy-anchor (0.1)."""
    scale: float | None = None
    """Of similarities: circle (80), arcface (64), proxy-anchor (32); supervised-contrastive and
    nt-xent (10, that is a temperature of 0.1)."""
    mining: MiningName = "batch-hard"
    """The triplets looked at."""
    memory: int = 0
    """Embeddings of earlier batches kept as further references; 0 for none."""
    memory_patience: int = 100
    """Steps before they are used."""
    hard_negatives: int = 0
    """Nearest negatives of the whole data set beside each image; 0 for none."""
    refresh: int = 200
    """Steps between searches for them."""


@dataclass(frozen=True)
class NetworkOptions:
    """What makes embeddings."""

    network: str = "tf_efficientnet_lite0"
    """Any timm model; "xfeat", trained to match photographs; such a model with "+xfeat" behind its
    name, for both side by side; or "small", a residual network for small pictures, trained from
    nothing."""
    weights: Literal["imagenet", "none"] = "imagenet"
    """What a timm model starts with; "none" leaves XFeat without its own weights, too."""
    strides: tuple[int, ...] | None = None
    """Resolutions of a network other than the small one to fuse; by default 8 of xfeat, 8 and 16 of
    any other."""
    widths: tuple[int, ...] = (32, 64, 128)
    """Features of the levels of the small network."""
    blocks: tuple[int, ...] = (1, 2)
    """Residual blocks of its levels from the second on."""
    ink: bool = False
    """Images are drawings, dark on light paper: they are cut out around their ink, and changed in
    training as another hand would draw them; --augment none goes well with it."""
    ink_side: int = 48
    """Side of what is cut out, in pixels."""
    dim: int | None = 128
    """Length of the embedding; none for the features as they are."""
    pooling: Literal["average", "generalised", "grid"] = "average"
    """How features become one vector: generalised has a learned power, grid keeps every place."""
    centred: bool = False
    """Numbers of the embedding have mean 0 and variance 1; for networks trained from nothing."""
    normalise: bool = True
    """Embeddings have unit length."""
    size: int = 224
    """Side of the square in which images are compared, in pixels."""


@dataclass(frozen=True, kw_only=True)
class PairMonitor(MonitorOptions):
    """What is measured while an embedding network trains."""

    validation_names: tuple[str, ...] = ()
    """Classes (or subjects) kept for validation, by name or by what stands before the first / in
    it; by default drawn by seed."""
    min_gap: int = 1
    """Images of one subject that stand nearer in its list than this make no pair in scores, such as
    slices and frames of a scan side by side."""
    collapse: bool = True
    """Warn when embeddings collapse to a point, and go over to gentler mining."""


@dataclass(frozen=True)
class MatchTrain(RunOptions):
    """Train an embedding network on pairs, holding out classes or subjects."""

    FIRST: ClassVar = (
        *("data", "out", "recipe", "identity", "loss"),
        *("network", "subject_pattern", "minutes", "resume", "overwrite"),
    )
    data: Positional[Path]
    """A data set as `fewshot train` takes it; or one of Omniglot's archives."""
    out: Path = Path("runs/pairs")
    """Folder for network, log and split."""
    dataset: OmitArgPrefixes[DatasetSettings] = field(default_factory=DatasetSettings)
    hold_out: OmitArgPrefixes[HoldOut] = field(default_factory=HoldOut)
    pairs: OmitArgPrefixes[PairOptions] = field(default_factory=PairOptions)
    net: OmitArgPrefixes[NetworkOptions] = field(default_factory=NetworkOptions)
    train: OmitArgPrefixes[PairTraining] = field(default_factory=PairTraining)
    monitor: OmitArgPrefixes[PairMonitor] = field(default_factory=PairMonitor)
    model: Path | None = None
    """Start from this embedding network."""
