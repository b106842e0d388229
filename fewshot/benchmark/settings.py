"""What a benchmark is made of."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, ClassVar, Literal

from tyro.conf import OmitArgPrefixes, Positional

from episodes.protocols.names import VOLUME_PROTOCOLS
from fewshot.experiments.choices import Choice
from fewshot.experiments.settings import DatasetSettings, OutputSettings


@dataclass(frozen=True)
class Benchmark:
    """Train and score several methods under several protocols: one table (docs/benchmark.md)."""

    FIRST: ClassVar = (
        *("data", "methods", "protocols", "training_exclusion", "support"),
        *("folds", "seeds", "out", "classes", "subject_pattern"),
    )
    data: Positional[Path]
    """Folder with volumes and masks, each volume being a scan, in the order of their numbers."""
    methods: tuple[str, ...] = ("superpixels-local", "superpixels-panet")
    """Names of recipes, RECIPE+HEAD (another head on its encoder), RECIPE@HEAD (another head
    trained like its own), untrained-HEAD (ImageNet features), or a baseline such as watershed
    (docs/baselines.md); copy-mask and feature-grid, the ceiling, are always there."""
    protocols: tuple[Annotated[str, Choice(VOLUME_PROTOCOLS)], ...] = ("alpnet", "full-thirds")
    """Protocols, as in `fewshot protocol`."""
    training_exclusion: tuple[Literal["keep", "any", "all"], ...] = ("keep",)
    """Which training slices are dropped: none (keep, setting 1), any that shows a tested class
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
    choices: Path | None = None
    """The --out of a benchmark with --training-exclusion keep and without groups; what its models
    chose on the same training scans (see alpnet-registered-nestedcv) is taken instead of choosing
    anew."""
    result: Path | None = None
    """Write the tables to this JSON file, and beside it, instead of benchmark.json in --out."""
    part: str | None = None
    """Write this benchmark as the part of this name into --result, and keep its other parts."""
    headline: tuple[str, ...] = ()
    """NAME=method:protocol:exclusion[:support], e.g. dice=best:alpnet:keep, or with all/0 as
    support the run of one; NAME=minutes:method:protocol:exclusion is the training time of a fold.
    By default one for the best method under each protocol."""
    duplicates: bool = True
    """Read all images to look for some that are in training and test."""
    dataset: OmitArgPrefixes[DatasetSettings] = field(default_factory=DatasetSettings)
    output: OmitArgPrefixes[OutputSettings] = field(default_factory=OutputSettings)
