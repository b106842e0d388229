"""Score masks that any tool made against true ones, file by file."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np
from tqdm import tqdm

from episodes.catalog.mask_counts import count_mask
from episodes.errors import DataError, shorten
from episodes.io.mask_colours import value_name
from episodes.io.pixels import IGNORE, PixelRef
from episodes.io.read import labels_of, mask_of, read_header, stem
from episodes.masks.aligned import mask_source
from episodes.masks.label_map import UNKNOWN, LabelMap, class_map, label_map_classes
from episodes.masks.values import Evidence, check_size, infer_label_maps
from episodes.readers import naming, pairing
from fewshot.metrics.mask_scores import MaskPair, score_objects, score_pair

Missing = Literal["refuse", "empty"]


@dataclass(frozen=True)
class FilePair:
    """A true mask and the prediction for it.

    Attributes:
        name: of the case: the path below the folder of true masks, without its ending.
        truth: the file.
        predicted: the file; None where there is none, which counts as an empty mask.
    """

    name: str
    truth: Path
    predicted: Path | None


@dataclass(frozen=True)
class MaskReading:
    """How masks are read and compared.

    Attributes:
        label_map: what their values mean; None to find out from all of them together.
        objects: the values number objects of one class.
        ignore_affine: lay predictions on true masks voxel for voxel.
        spacing: size of a pixel in mm where files have none, one number or one an axis.
    """

    label_map: LabelMap | None = None
    objects: bool = False
    ignore_affine: bool = False
    spacing: tuple[float, ...] = ()


@dataclass(frozen=True)
class Case:
    """Scores of one file.

    Attributes:
        name: of the case.
        scores: by class; those of objects are of the class, too.
        diagonal: of its image, in the unit of the distances.
    """

    name: str
    scores: Mapping[str, Mapping[str, float]]
    diagonal: float


def find_pairs(
    predictions: Path, truth: Path, missing: Missing = "refuse"
) -> tuple[list[FilePair], list[str]]:
    """Match files by their names; two files are a pair whatever they are called.

    Args:
        predictions, truth: two folders, or two files.
        missing: refuse true masks without a prediction, or take an empty mask for each.

    Returns:
        The pairs in the order of their names, and sentences about files that have no partner.

    Raises:
        DataError: a prediction is missing, no name fits or one fits several, or one of the two is
            a file and the other a folder.
    """
    if predictions.is_file() and truth.is_file():
        return [FilePair(stem(truth), truth, predictions)], []
    if predictions.is_file() or truth.is_file():
        raise DataError(
            f"{predictions} and {truth} are a file and a folder; expected two folders or two files"
        )
    true, notes = _masks_of(truth)
    found, more = _masks_of(predictions)
    partners = pairing.match_masks(true, found)
    if not partners:
        raise DataError(
            f"no file in {predictions} is called like one in {truth}: there are "
            f"{shorten(found, 3) or 'none'}, and {shorten(true, 3) or 'none'}; expected the same "
            "names, but for words such as mask and pred"
        )
    of_truth = {name: found[prediction] for prediction, name in partners.items()}
    lost = [name for name in true if name not in of_truth]
    if lost and missing == "refuse":
        raise DataError(
            f"{len(lost)} of {len(true)} true masks have no prediction in {predictions}: "
            f"{shorten(lost, 5)}; add them, or count them as predictions of nothing with --missing "
            "empty"
        )
    notes += more
    notes += naming.partner_note("predictions", [n for n in found if n not in partners], "a truth")
    if lost:
        notes.append(f"{len(lost)} without a prediction, counted as empty: {shorten(lost, 5)}")
    return [FilePair(name, path, of_truth.get(name)) for name, path in true.items()], notes


def _masks_of(folder: Path) -> tuple[dict[str, Path], list[str]]:
    """List the masks of a folder; where images lie beside them, those that are called masks."""
    files = naming.by_stem(folder)
    masks, stray = pairing.separate_masks(list(files))
    if not masks:
        return files, []
    kept = {name: path for name, path in files.items() if name in masks or name in stray}
    return kept, [f"{folder.name}: {len(files) - len(kept)} files beside the masks are left out"]


class MaskScorer:
    """Reads and compares pairs of masks; all of them say together what their values mean.

    Args:
        pairs: at least one.
        reading: how.

    Attributes:
        classes: the names, in the order of their values.
        unit: "mm", or "pixels" where not every file has a spacing and none was given.
        notes: sentences about what was read otherwise than it stands in the files.

    Raises:
        DataError: a file cannot be read, a prediction does not lie on its true mask, or values
            have no certain meaning.
    """

    def __init__(self, pairs: Sequence[FilePair], reading: MaskReading) -> None:
        self.pairs, self.reading = pairs, reading
        self._sources = [self._open(pair) for pair in pairs]
        spacings = [self._spacing(pair) for pair in pairs]
        known = [each for each in spacings if each is not None]
        self.unit = "mm" if len(known) == len(pairs) else "pixels"
        self._spacings = known if self.unit == "mm" else [(1.0, 1.0, 1.0)] * len(pairs)
        self._label_maps, self.notes = self._settled()
        if known and self.unit == "pixels":
            lacking = [p.name for p, each in zip(pairs, spacings, strict=True) if each is None]
            self.notes.append(
                f"distances are in pixels, since {len(lacking)} files name no spacing: "
                f"{shorten(lacking, 3)}"
            )
        names = [
            name for label_map in self._label_maps.values() for name in label_map_classes(label_map)
        ]
        self.classes = tuple(dict.fromkeys(names))

    def cases(self, metrics: Sequence[str], tolerance: float) -> Iterator[Case]:
        """Score every pair, with a progress bar.

        Args:
            metrics: names of `fewshot.registry.METRICS`.
            tolerance: of NSD, in `unit`.
        """
        bar = tqdm(self.pairs, desc="scoring", unit="file", mininterval=0.5)
        for pair, (true, made), spacing in zip(bar, self._sources, self._spacings, strict=True):
            yield self._case(pair, true, made, spacing, metrics, tolerance)

    def _case(
        self,
        pair: FilePair,
        true: PixelRef,
        made: PixelRef | None,
        spacing: tuple[float, float, float],
        metrics: Sequence[str],
        tolerance: float,
    ) -> Case:
        truth = labels_of(true)
        labels = np.zeros_like(truth) if made is None else labels_of(made)
        if made is not None and labels.shape != truth.shape:
            check_size(made.name, labels.shape[1:], true.name, truth.shape[1:])
        if truth.shape[0] == 1:
            truth, labels = truth[0], labels[0]
        lengths = spacing[-truth.ndim :]
        known = class_map(truth, self._label_maps[true], self.classes, true.name)
        found = known * 0 if made is None else self._predicted(labels, made, known)
        scores: dict[str, Mapping[str, float]] = {}
        for value, name in enumerate(self.classes, start=1):
            reference = np.where(known == IGNORE, np.uint8(IGNORE), (known == value))
            compared = MaskPair(found == value, reference, lengths, tolerance)
            scores[name] = score_pair(compared, metrics)
            if self.reading.objects:
                scores[name] = {**scores[name], **score_objects(labels, truth)}
        return Case(pair.name, scores, compared.diagonal)

    def _predicted(self, labels: np.ndarray, made: PixelRef, known: np.ndarray) -> np.ndarray:
        found = class_map(labels, self._label_maps[made], self.classes, made.name)
        open_ = (found == IGNORE) & (known != IGNORE)
        if open_.any():
            raise DataError(
                f"prediction {made.name} leaves {int(open_.sum()):,} pixels unknown that the truth "
                "knows; a prediction has to decide: name the value as a class or as background "
                "with --classes"
            )
        return found

    def _open(self, pair: FilePair) -> tuple[PixelRef, PixelRef | None]:
        if pair.predicted is None:
            return PixelRef(pair.truth), None
        grid = read_header(pair.truth, mask=True).grid(pair.truth)
        return PixelRef(pair.truth), mask_source(grid, pair.predicted, self.reading.ignore_affine)

    def _spacing(self, pair: FilePair) -> tuple[float, float, float] | None:
        """Depth, height and width of a pixel in mm; None where nothing names them."""
        geometry = read_header(pair.truth, mask=True).geometry
        if geometry is not None:
            return geometry.plane_spacing
        given = self.reading.spacing
        if not given:
            return None
        if len(given) > 3:
            raise DataError(f"spacing is {given}; expected one number, or one an axis")
        lengths = given * 3 if len(given) == 1 else (1.0, *given)[-3:]
        return lengths[0], lengths[1], lengths[2]

    def _settled(self) -> tuple[dict[PixelRef, LabelMap], list[str]]:
        """Find out what the values mean, and which classes one side alone has."""
        sides = {
            "the truth": [true for true, _ in self._sources],
            "the predictions": [made for _, made in self._sources if made is not None],
        }
        sources = [source for side in sides.values() for source in side]
        label_map = self.reading.label_map
        if self.reading.objects:
            label_map = label_map or "objects"
            return dict.fromkeys(sources, label_map), []
        counts = {each: count_mask(mask_of(each)) for each in sources}
        evidence = [
            Evidence(each.name, found, label_map, partial(labels_of, each))
            for each, found in counts.items()
        ]
        label_maps, notes = infer_label_maps(evidence)
        meant = dict(zip(counts, label_maps, strict=True))
        there = {
            side: set().union(*(counts[each].values for each in of_side))
            for side, of_side in sides.items()
        }
        for side, other in (tuple(there), tuple(there)[::-1]):
            notes += _alone(side, there[side] - there[other], meant[sources[0]])
        return meant, notes


def _alone(side: str, values: set[int], label_map: LabelMap) -> list[str]:
    """Tell of classes that occur on one side alone; a single name covers all values."""
    if isinstance(label_map, str):
        return []
    named = [(value, label_map.get(value)) for value in sorted(values)]
    told = [f"{name} ({value_name(value)})" for value, name in named if name not in (None, UNKNOWN)]
    return [f"in {side} alone: {shorten(told, 8)}"] if told else []
