"""Options of `fewshot suite`; importable without torch."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from tyro.conf import OmitArgPrefixes, Positional

from fewshot.experiments.settings import OutputSettings


@dataclass(frozen=True)
class Suite:
    """Score predictors on many kinds of picture with few annotated images (docs/benchmark.md)."""

    FIRST: ClassVar = (
        *("data", "predictors", "shots", "supports", "queries", "development"),
        *("out", "result", "subjects", "classes"),
    )
    data: Positional[tuple[Path, ...]]
    """Data sets, or folders of data sets with images/ and masks/. Each is a task; one of volumes is
    a task a class, of single slices."""
    predictors: tuple[str, ...] = ("self-configuring", "end-to-end", "threshold", "pixel-forest")
    """Predictors, or recipes that have one, as in `fewshot segment`; headlines are of the first.
    copy-mask is always there."""
    methods: tuple[str, ...] = ()
    """Methods of self-configuring, each a column of its own as with `fewshot segment --method`; all
    names every one. The regret is against the best column of each task."""
    shots: tuple[int, ...] = (1, 5)
    """How many images are annotated."""
    supports: int = 2
    """How often annotated images are drawn for a task."""
    queries: int = 10
    """At most so many images are segmented in a draw, of subjects without an annotated one."""
    seed: int = 0
    """Of the draws."""
    development: tuple[str, ...] = ()
    """Tasks on which something was chosen; the headlines leave them out."""
    model: Path | None = None
    """Folder of a trained model; by default ImageNet features."""
    subjects: tuple[str, ...] = ()
    """DATASET=PATTERN: regular expression for the subject in the names of a data set's files. By
    default the part before the first _ in names of images, and each volume."""
    classes: tuple[str, ...] = ()
    """DATASET:VALUE=NAME, names of mask values, e.g. chaos_t2:1=liver; by default from classes.json
    beside the data, or found out from the values."""
    kinds: tuple[str, ...] = ()
    """Data sets that are split into tasks by kind of picture: stained (colour), bright-field
    (bright background) and fluorescence (dark background)."""
    out: Path = Path("runs/suite")
    """Folder for the scores of every case; the same command goes on where it was stopped."""
    result: Path | None = None
    """Write the tables to this JSON file, and beside it, instead of suite.json in --out."""
    headline: str | None = None
    """Name of the mean in the result file, of one number of annotated images; by default
    suite_1shot_mean for one."""
    cache: bool = True
    """Remember the areas of classes in the user's cache folder (XDG_CACHE_HOME)."""
    output: OmitArgPrefixes[OutputSettings] = field(default_factory=OutputSettings)
