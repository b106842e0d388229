"""Settings that several commands share, each defined once; importable without torch."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, kw_only=True)
class MaskSettings:
    """How masks are read."""

    classes: tuple[str, ...] = ()
    """Names of mask values, e.g. 1=liver 2=spleen 255=unknown, red=cell, or 1-127=background
    128-255=cell; or one name for every non-zero value; by default from classes.json beside the
    data, or found out from the values."""
    ignore_affine: bool = False
    """Lay masks on their images voxel for voxel, whatever place NIfTI headers give them."""


@dataclass(frozen=True, kw_only=True)
class ReadingSettings(MaskSettings):
    """How a folder of images is read."""

    subject_pattern: str | None = None
    """Regular expression for the subject (patient, scan) in a file name; by default each file is a
    subject."""


@dataclass(frozen=True, kw_only=True)
class DatasetSettings(ReadingSettings):
    """How a data set is read, and what is remembered of it."""

    cache: bool = True
    """Remember the areas of classes in the user's cache folder (XDG_CACHE_HOME)."""


@dataclass(frozen=True, kw_only=True)
class OutputSettings:
    """What may be replaced."""

    overwrite: bool = False
    """Replace what an earlier command left where results go: a run with its models and scores, a
    shared model, an index, and any other file of that name; inputs never are."""


@dataclass(frozen=True)
class HoldOut:
    """What is kept from training; train and evaluate take the same values."""

    novel: tuple[str, ...] = ()
    """Classes held out of training, to be segmented without having been seen."""
    test_subjects: tuple[str, ...] = ()
    """Subjects held out of training; by default drawn by seed, as many as --test-share gives."""
    test_share: float = 0.25
    """Share of the subjects held out when none are named; 0 trains on all, and leaves none to
    evaluate on."""
    training_exclusion: Literal["keep", "any", "all"] = "keep"
    """Training images that show a held-out class: keep them, the class being unlabelled (keep);
    drop those that show any of them; drop those that show all of them."""
    split_seed: int = 0
    """Of the drawing of test subjects."""


@dataclass(frozen=True, kw_only=True)
class MonitorOptions:
    """What is measured while a model trains."""

    validate: int | None = None
    """Steps between scores on a part of the training data that is kept for it; the best model is
    kept in best/; by default nothing is scored."""
    validation_share: float = 0.2
    """Share of the training subjects (or classes) kept for validation."""
    patience: int | None = None
    """Stop after so many scores without a gain; by default training goes on to its end."""
    minimum_change: float = 0.0
    """What counts as a gain of the score, from 0 to 1."""
    average: float | None = None
    """Decay of a moving average of the weights, e.g. 0.99, kept in average/; by default none is
    kept."""
    tensorboard: bool = False
    """Also log for TensorBoard (extra train)."""
