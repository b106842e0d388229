"""What each command of `fewshot` takes: one dataclass a command, its docstrings being the help.

Imports tyro and the settings of training alone, so that `fewshot --help` answers at once.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from tyro.conf import OmitArgPrefixes, Positional

from fewshot.training.settings import TrainSettings

# fmt: off
HeadName = Literal[
    "local", "prototypical", "prototypical-euclidean", "adnet", "qnet", "clustered", "mixture",
    "prior", "gaussian", "gaussian-diagonal", "ridge", "logistic",
    "correlation", "matching", "cross",
    "anil", "maml", "fomaml", "meta-sgd", "reptile", "fine-tuning",
]
# fmt: on
AugmentName = Literal["none", "light", "strong", "ssl-alpnet", "medical"]
VolumeProtocol = Literal[
    "alpnet",
    "adnet",
    "adnet-2",
    "full-middle",
    "full-thirds",
    "full-slices",
    "full-volume",
]
ProtocolName = Literal[
    VolumeProtocol,
    "panet",
    "hsnet",
    "pfenet",
    "coco-hsnet",
    "coco-pfenet",
]


@dataclass(frozen=True)
class Demo:
    """Train on base classes of bundled data, segment classes never seen (about 3 minutes)."""

    out: Path = Path("demo")
    """Folder for the pictures, the scores and the model."""
    minutes: float = 1.75
    """Time spent on training."""
    seed: int = 0
    """Of the episodes."""


@dataclass(frozen=True)
class Held:
    """What is kept from training; train and evaluate take the same values."""

    novel: tuple[str, ...] = ()
    """Classes held out of training, to be segmented without having been seen."""
    test_subjects: tuple[str, ...] = ()
    """Subjects held out of training; by default drawn by seed, as many as --test-share says."""
    test_share: float = 0.25
    """Share of the subjects held out when none are named."""
    exclude: Literal["none", "any", "all"] = "none"
    """Training images that show a held-out class: keep them, the class being unlabelled (none);
    drop those that show any of them; drop those that show all of them."""
    subject_pattern: str | None = None
    """Regular expression for the subject in a file name; by default each file is a subject."""
    classes: tuple[str, ...] = ()
    """Names of mask values, e.g. 1=liver 2=spleen; by default from classes.json beside the data."""
    split_seed: int = 0
    """Of the drawing of test subjects."""


@dataclass(frozen=True)
class Sources:
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


@dataclass(frozen=True)
class Watch:
    """What is watched while a model trains."""

    validate: int = 0
    """Steps between scores on training subjects that are kept aside for it, with the base
    classes; the best model is kept in best/. 0 for none."""
    validation_share: float = 0.2
    """Share of the training subjects kept aside."""
    validation_episodes: int = 20
    """Episodes a score."""
    patience: int = 0
    """Stop after so many scores without a gain; 0 for never."""
    minimum_change: float = 0.0
    """What counts as a gain in Dice, from 0 to 1."""
    average: float = 0.0
    """Decay of a moving average of the weights, e.g. 0.99, kept in average/; 0 for none."""
    pictures: int = 0
    """Steps between pictures of what the model does, in pictures/; 0 for none."""
    tensorboard: bool = False
    """Also log for TensorBoard (extra train)."""


@dataclass(frozen=True)
class Train:
    """Train a segmenter on a data set, holding out classes and subjects."""

    data: Positional[Path]
    """Folder with images and masks, or NIfTI pairs."""
    out: Path = Path("runs/model")
    """Folder for model, log and split."""
    held: OmitArgPrefixes[Held] = field(default_factory=Held)
    train: OmitArgPrefixes[TrainSettings] = field(default_factory=TrainSettings)
    watch: OmitArgPrefixes[Watch] = field(default_factory=Watch)
    sources: OmitArgPrefixes[Sources] = field(default_factory=Sources)
    way: int = 1
    """Classes an episode."""
    shot: int = 1
    """Annotated images a class in an episode."""
    head: HeadName = "local"
    """How pixels are compared with the support."""
    backbone: str = "tf_efficientnet_lite0"
    """Any timm model; this one's ImageNet weights are installed, others are downloaded."""
    strides: tuple[int, ...] = (8, 16)
    """Resolutions of the backbone to fuse."""
    size: int = 256
    """Side of the square in which images are compared, in pixels."""
    model: Path | None = None
    """Start from this model instead of ImageNet weights."""
    resume: bool = False
    """Go on with the run in --out where it was stopped."""
    recipe: str | None = None
    """Take the settings of this recipe (`fewshot recipes`); other options replace single ones."""
    cache: bool = True
    """Remember the areas of classes in the user's cache folder (XDG_CACHE_HOME)."""


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
    result: Path | None = None
    """Also write the whole result, with machine, settings and every case, to this JSON file."""
    headline: str = "dice"
    """Name of the mean in the result file."""
    cache: bool = True
    """Remember the areas of classes in the user's cache folder (XDG_CACHE_HOME)."""


@dataclass(frozen=True)
class ProtocolRun:
    """Score copy-mask, and a trained model, as published protocols do (docs/protocols.md)."""

    data: Positional[Path]
    """Folder with volumes and masks, each volume being a scan, in the order of their numbers; or
    with images of many classes."""
    under: tuple[ProtocolName, ...] = ("alpnet",)
    """Protocols: of volumes, chunks of the organ's slices (alpnet, adnet) or every slice (adnet-2,
    full-...); of images, folds of classes in a row (panet, hsnet, pfenet) or interleaved (coco)."""
    model: Path | None = None
    """Folder that `fewshot train` wrote; it must not have seen the fold's scans and classes."""
    fold: int | None = None
    """Which fold; by default all of them."""
    folds: int = 0
    """How many folds; by default 5 of scans, 4 of classes."""
    support: str = "published"
    """Which scan is the support: published, all (one run each), or a place such as 0."""
    novel: tuple[str, ...] = ()
    """Classes tested; by default all."""
    exclude: Literal["none", "any", "all"] = "none"
    """Which training slices are dropped; changes what is counted as excluded, not the cases."""
    shot: int = 1
    """Annotated images; of image protocols only."""
    episodes: int = 0
    """Episodes a run; by default as many as published; of image protocols only."""
    classes: tuple[str, ...] = ()
    """Names of mask values, e.g. 1=liver 2=spleen; by default from classes.json beside the data."""
    subject_pattern: str | None = None
    """Regular expression for the scan in a file name; by default each file is a scan."""
    result: Path | None = None
    """Also write the whole result, with machine, settings and every case, to this JSON file."""
    headline: str = "protocol"
    """Name of the scores in the result file."""


@dataclass(frozen=True)
class Benchmark:
    """Train and score several methods under several protocols: one table (docs/benchmark.md)."""

    data: Positional[Path]
    """Folder with volumes and masks, each volume being a scan, in the order of their numbers."""
    methods: tuple[str, ...] = ("superpixels-local", "superpixels-panet")
    """Names of recipes, or untrained-HEAD (ImageNet features); copy-mask and feature-grid, the
    ceiling, are always there."""
    under: tuple[VolumeProtocol, ...] = ("alpnet", "full-thirds")
    """Protocols, as in `fewshot protocol`."""
    exclude: tuple[Literal["none", "any", "all"], ...] = ("none",)
    """Which training slices are dropped: none (setting 1), any that shows a tested class
    (setting 2), or those that show all of them."""
    folds: tuple[int, ...] = ()
    """Which folds; by default all."""
    fold_count: int = 5
    """How many folds there are."""
    support: tuple[str, ...] = ("published",)
    """Which scan is the support: published, all (one run each), or a place such as 0."""
    seeds: tuple[int, ...] = (0,)
    """Each is a training of every method."""
    novel: tuple[str, ...] = ()
    """Classes tested; by default all."""
    groups: tuple[str, ...] = ()
    """Classes that are held out together, such as liver+spleen, with a training for each group;
    by default all tested classes at once."""
    minutes: float | None = None
    """Training time of every model, instead of the recipe's."""
    steps: int | None = None
    """Training steps of every model, instead of the recipe's."""
    batch: int | None = None
    """Episodes a step, instead of the recipe's."""
    size: int | None = None
    """Side of the square in which images are compared, instead of the recipe's."""
    out: Path = Path("runs/benchmark")
    """Folder for models, scores and tables; the same command goes on where it was stopped."""
    result: Path | None = None
    """Write the tables to this JSON file, and beside it, instead of benchmark.json in --out."""
    headline: tuple[str, ...] = ()
    """NAME=method:protocol:exclude[:support], e.g. dice=best:alpnet:none; by default one for the
    best method under each protocol."""
    duplicates: bool = True
    """Read all images to look for some that are in training and test."""
    classes: tuple[str, ...] = ()
    """Names of mask values, e.g. 1=liver 2=spleen; by default from classes.json beside the data."""
    subject_pattern: str | None = None
    """Regular expression for the scan in a file name; by default each file is a scan."""
    cache: bool = True
    """Remember the areas of classes in the user's cache folder (XDG_CACHE_HOME)."""


@dataclass(frozen=True)
class Segment:
    """Segment images like the annotated ones: one picture is enough."""

    support: tuple[Path, ...]
    """Annotated images (PNG, JPEG, TIFF, NIfTI)."""
    mask: tuple[Path, ...]
    """Their masks, in the same order: 0 background, 1..254 classes, 255 unknown; or 0 and 255."""
    query: tuple[Path, ...]
    """Images to segment, or folders of them."""
    out: Path
    """Folder for masks, overlays and summary.json."""
    model: Path | None = None
    """Folder of a trained model; by default ImageNet features."""
    classes: tuple[str, ...] = ()
    """Names of mask values, e.g. 1=liver 2=spleen; or one name for every non-zero value."""
    size: int | None = None
    """Side of the square in which images are compared, in pixels; by default chosen by the size of
    the marked structures."""


@dataclass(frozen=True)
class Inspect:
    """Tell what a data set holds, and what looks wrong."""

    data: Positional[Path]
    """Folder with images and masks, or NIfTI pairs."""
    subject_pattern: str | None = None
    """Regular expression for the subject in a file name; by default each file is a subject."""
    classes: tuple[str, ...] = ()
    """Names of mask values, e.g. 1=liver 2=spleen; by default from classes.json beside the data."""
    json: Path | None = None
    """Also write what was found to this file."""
    pictures: Path | None = None
    """Also draw some images of each class with their masks, into this folder."""
    duplicates: bool = True
    """Read all images to look for some that are there twice."""
    cache: bool = True
    """Remember the areas of classes in the user's cache folder (XDG_CACHE_HOME)."""


@dataclass(frozen=True)
class Recipes:
    """List the named training settings: command, time, memory and the score to expect."""

    names: Positional[tuple[str, ...]] = ()
    """Those to show; by default all."""


@dataclass(frozen=True)
class Runs:
    """List trained models side by side: settings that differ, steps, time, loss and scores."""

    folders: Positional[tuple[Path, ...]] = (Path("runs"),)
    """Folders of runs, or folders that hold such folders."""
    csv: Path | None = None
    """Also write the table to this file."""


@dataclass(frozen=True)
class Share:
    """Put a trained model into a folder for others, with a model card; also as ONNX."""

    model: Positional[Path]
    """Folder that `fewshot train` wrote."""
    out: Path
    """Folder to share."""
    name: str | None = None
    """Name of the model in its card; by default that of the folder."""
    licence: str | None = None
    """Licence of the weights by its SPDX name, e.g. cc-by-4.0."""
    support: tuple[Path, ...] = ()
    """Annotated images: also write them condensed, and the model as an ONNX graph."""
    mask: tuple[Path, ...] = ()
    """Their masks, in the same order."""
    classes: tuple[str, ...] = ()
    """Names of mask values, e.g. 1=liver 2=spleen."""
