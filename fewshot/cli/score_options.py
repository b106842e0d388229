"""What `fewshot score` takes, and the options of scores that commands share."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from tyro.conf import OmitArgPrefixes, Positional

from fewshot.experiments.settings import OutputSettings, ReadingSettings


@dataclass(frozen=True)
class ScoreOptions:
    """Which scores of masks are computed."""

    metrics: tuple[str, ...] = ("dice", "iou")
    """Scores: dice, iou, precision, recall, specificity, volumetric_similarity, hd, hd95,
    hd95_pooled, assd, masd, nsd, boundary_iou, cldice (docs/choosing-scores-and-losses.md)."""
    tolerance: float = 2.0
    """Distance that nsd forgives, in mm, or in pixels where the data has no spacing."""


@dataclass(frozen=True)
class Score:
    """Score masks that any tool made against true masks, matched by their names."""

    predictions: Positional[Path]
    """Folder of predicted masks, or one file (PNG, TIFF, NIfTI, npy)."""
    truth: Positional[Path]
    """Folder of true masks, or one file."""
    scores: OmitArgPrefixes[ScoreOptions] = field(default_factory=ScoreOptions)
    reading: OmitArgPrefixes[ReadingSettings] = field(default_factory=ReadingSettings)
    instances: bool = False
    """Values number objects of one class: also score the objects, matched at IoU > 0.5."""
    missing: Literal["refuse", "empty"] = "refuse"
    """True masks without a prediction: refuse them, or count them as predictions of nothing."""
    spacing: tuple[float, ...] = ()
    """Size of a pixel in mm where files name none: one number, or one an axis."""
    out: Path | None = None
    """Also write scores.json, cases.csv and scores.md into this folder."""
    output: OmitArgPrefixes[OutputSettings] = field(default_factory=OutputSettings)
