"""What `fewshot match ...` takes: one dataclass an action, its docstrings being the help."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, ClassVar, Literal, get_args

from tyro.conf import OmitArgPrefixes, OmitSubcommandPrefixes, Positional, subcommand

from fewshot.experiments.pair_options import MatchTrain
from fewshot.experiments.settings import DatasetSettings, OutputSettings, ReadingSettings


@dataclass(frozen=True)
class MatchBuild:
    """Build an index of the images of a data set, or of any folder of images."""

    data: Positional[Path]
    """A data set as `fewshot train` takes it, or a folder of images."""
    index: str
    """A folder for the index; or Milvus by http://host:port or FILE.db, then #COLLECTION."""
    model: Path | None = None
    """Folder of a trained embedding network or segmenter; by default ImageNet features."""
    reading: OmitArgPrefixes[ReadingSettings] = field(default_factory=ReadingSettings)
    output: OmitArgPrefixes[OutputSettings] = field(default_factory=OutputSettings)


@dataclass(frozen=True)
class MatchAdd:
    """Add images to an index; those that are there already are replaced."""

    images: Positional[tuple[Path, ...]]
    """Images, or folders of them."""
    index: str
    """That `fewshot match build` made."""
    model: Path | None = None
    """Where the model lies now, if the index was built with one that has been moved."""
    reading: OmitArgPrefixes[ReadingSettings] = field(default_factory=ReadingSettings)


@dataclass(frozen=True)
class MatchQuery:
    """Find the images of an index that look most like a picture."""

    image: Positional[Path]
    """The picture."""
    index: str
    """That `fewshot match build` made."""
    k: int = 5
    """How many matches."""
    where: tuple[str, ...] = ()
    """Only images with this metadata, e.g. subject=p1 plane=3."""
    without_subject: str | None = None
    """Leave out the images of this subject."""
    out: Path | None = None
    """Also draw the picture beside its matches, into this PNG file."""
    model: Path | None = None
    """Where the model lies now, if the index was built with one that has been moved."""
    output: OmitArgPrefixes[OutputSettings] = field(default_factory=OutputSettings)


@dataclass(frozen=True)
class MatchThreshold:
    """Choose, freeze and audit the threshold at which two images are of one subject."""

    data: Positional[Path]
    """A data set with several images a subject, of subjects that the model was not trained on."""
    out: Path
    """JSON file for the decision."""
    model: Path | None = None
    """Folder of a trained embedding network or segmenter; by default ImageNet features."""
    rule: str = "eer"
    """eer, youden, or the false accept rate allowed, e.g. far=0.001."""
    calibration: Literal["platt", "isotonic"] = "platt"
    """How scores become probabilities: by a logistic function, or by any rising one."""
    test_share: float = 0.5
    """Share of the subjects on which the frozen threshold is audited."""
    reading: OmitArgPrefixes[ReadingSettings] = field(default_factory=ReadingSettings)
    seed: int = 0
    """Of the split of the subjects, the impostor pairs and the intervals."""
    output: OmitArgPrefixes[OutputSettings] = field(default_factory=OutputSettings)


@dataclass(frozen=True)
class MatchVerify:
    """Say whether two pictures show the same subject."""

    images: Positional[tuple[Path, Path]]
    """The two pictures."""
    threshold: Path
    """That `fewshot match threshold` wrote."""
    model: Path | None = None
    """The model that the threshold was chosen with; by default ImageNet features."""


@dataclass(frozen=True)
class MatchSegment:
    """Segment images with the annotated images of a gallery that look most like each of them."""

    FIRST: ClassVar = (
        *("gallery", "query", "out", "model", "classes"),
        *("subject_pattern", "rule", "annotated", "top", "overwrite"),
    )
    gallery: Positional[Path]
    """A data set with masks; of volumes, every slice is a possible support."""
    query: tuple[Path, ...]
    """Images or volumes to segment, or folders of them."""
    out: Path
    """Folder for masks, overlays and summary.json."""
    model: Path | None = None
    """Folder of a trained segmenter; by default ImageNet features."""
    rule: Literal["places", "slices"] = "places"
    """For volumes: lay them over the annotated volume and compare what lies close (places), or
    segment each slice with the one annotated slice that fits it (slices)."""
    annotated: Literal["volume", "slices"] = "volume"
    """What is annotated in annotated volumes: all slices, or only those that show a class, which
    then reaches half a gap beyond the outer ones. Slices whose mask is unknown (255) never are."""
    other_magnification: bool = False
    """Images are at another magnification than the gallery's, such as the same scene at a higher
    resolution: segment large ones, which is refused otherwise where structures would vanish."""
    smooth: bool = True
    """Refine answers for volumes: within edges, across slices, the largest part alone."""
    top: int = 1
    """How many annotated images or volumes an image; their probabilities are averaged."""
    weight: float = 1.0
    """Of a slice's place along the volume, beside what it looks like."""
    dataset: OmitArgPrefixes[DatasetSettings] = field(default_factory=DatasetSettings)
    output: OmitArgPrefixes[OutputSettings] = field(default_factory=OutputSettings)


@dataclass(frozen=True)
class MatchScore:
    """Score an embedding network: same or not, and who is nearest, beside ImageNet features."""

    data: Positional[Path]
    """A data set; of that which the network was trained on, the part held out is taken."""
    model: Path | None = None
    """Folder of a trained embedding network; by default ImageNet features alone."""
    identity: Literal["class", "subject"] = "subject"
    """What makes two images one."""
    min_gap: int = 1
    """Images of one subject that stand nearer in its list than this make no pair, such as slices
    and frames of a scan side by side."""
    dataset: OmitArgPrefixes[DatasetSettings] = field(default_factory=DatasetSettings)
    result: Path | None = None
    """Also write the scores into this result file (JSON), and a table beside it."""
    part: str = "pairs"
    """Name of this part of the result file; other parts stay."""
    headline: str = "pairs"
    """What the names of its headlines begin with."""
    seed: int = 0
    """Of the intervals."""
    output: OmitArgPrefixes[OutputSettings] = field(default_factory=OutputSettings)


@dataclass(frozen=True)
class MatchOmniglot:
    """Score embedding networks on Omniglot: Lake's 20 runs, and n-way k-shot trials."""

    data: Positional[Path]
    """Folder of all_runs.zip, images_evaluation.zip and images_background.zip."""
    model: tuple[Path, ...]
    """Folders of networks that were trained on the background set; the cosines of several are
    averaged."""
    views: int = 1
    """Versions of every drawing, all but the first changed at random; the two that are most alike
    are compared."""
    centred: float = 0.8
    """Share of the mean of a trial's examples that is taken from them and from the test drawing."""
    whitened: float | None = 1.0
    """Shrinkage of the covariance within background characters by which embeddings are whitened;
    none for embeddings as they are."""
    trials: int = 4000
    """Of each n-way k-shot task."""
    result: Path | None = None
    """Also write the scores into this result file (JSON), and a table beside it."""
    seed: int = 0
    """Of the trials, the views and the intervals."""
    output: OmitArgPrefixes[OutputSettings] = field(default_factory=OutputSettings)


Action = (
    Annotated[MatchTrain, subcommand("train")]
    | Annotated[MatchScore, subcommand("score")]
    | Annotated[MatchBuild, subcommand("build")]
    | Annotated[MatchAdd, subcommand("add")]
    | Annotated[MatchQuery, subcommand("query")]
    | Annotated[MatchThreshold, subcommand("threshold")]
    | Annotated[MatchVerify, subcommand("verify")]
    | Annotated[MatchSegment, subcommand("segment")]
    | Annotated[MatchOmniglot, subcommand("omniglot")]
)
MATCH_COMMANDS: dict[str, type] = {
    marker.name: kind for kind, marker in map(get_args, get_args(Action))
}
"""Each one by the second word of its command."""


@dataclass(frozen=True)
class Match:
    """Find images that look alike, tell subjects apart, and segment with the best support."""

    action: OmitArgPrefixes[OmitSubcommandPrefixes[Action]]
    """What to do."""
