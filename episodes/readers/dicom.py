"""DICOM: series of slices and their segmentations (DICOM-SEG), anywhere below a folder.

    patient_1/ct/0001.dcm …       slices of one series, also without an ending
    patient_1/seg.dcm             segmentation that refers to the slices

A series is a volume. Its slices are put in order along the normal of their planes; slices of
another size or direction (a localizer) make a volume of their own. The subject is the PatientID. A
segmentation's frames are matched to slices by the SOP instance UID that they were derived from,
else by their position; the labels of its segments are the classes.
"""

import json
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from episodes.catalog import Catalog, MaskRef, PixelRef, Sample
from episodes.dicom import (
    SEGMENTATIONS,
    Plane,
    is_dicom,
    planes_of_file,
    read_header,
    read_segment,
    read_series,
)
from episodes.errors import DataError
from episodes.legend import Legend
from episodes.limits import check_voxels, guarded
from episodes.readers import naming

TOLERANCE = 0.01
"""How far apart positions of the same plane may be, in mm."""


@dataclass
class Series:
    """The planes of one volume while it is put together."""

    uid: str
    patient: str
    planes: list[Plane] = field(default_factory=list)
    masks: list[tuple[Path, str, str]] = field(default_factory=list)


def recognises(root: Path) -> bool:
    """Whether a DICOM file lies somewhere below the folder."""
    return any(is_dicom(path) for path in root.rglob("*") if path.name != "DICOMDIR")


def read(
    root: Path, *, subject_pattern: str | None = None, legend: Legend | None = None
) -> Catalog:
    """Read the headers of all files; each plane is a sample, each patient a subject.

    Args:
        root: the folder.
        subject_pattern: searched in the path of a series' first file; by default the PatientID.
        legend: one name for the segments of all labels; by default the labels.

    Raises:
        DataError: a header is damaged or beyond the limits, or a segmentation fits no series.
    """
    if legend is not None and not isinstance(legend, str):
        raise DataError(f"the classes are {legend}; segments have names: expected one name or none")
    series: dict[tuple[object, ...], Series] = {}
    segmentations: list[tuple[Path, Any]] = []
    for path in _files(root):
        header = read_header(path)
        with guarded(path, "DICOM"):
            if str(header.get("SOPClassUID")) in SEGMENTATIONS:
                segmentations.append((path, header))
            else:
                _add(series, path, path.relative_to(root).as_posix(), header)
    for one in series.values():
        one.planes.sort(key=lambda plane: (plane.height, plane.order, plane.file))
        check_voxels(f"series {one.uid}", (len(one.planes), *one.planes[0].size))
    for path, header in segmentations:
        with guarded(path, "DICOM-SEG"):
            _match(path, header, list(series.values()), legend)
    samples = [
        sample
        for number, one in enumerate(series.values())
        for sample in _samples(root, f"{one.uid}.{number}", one, subject_pattern)
    ]
    return naming.catalog_of(root, samples)


def _files(root: Path) -> Iterator[Path]:
    for path in sorted(root.rglob("*")):
        hidden = any(part.startswith(".") for part in path.relative_to(root).parts)
        if not hidden and path.name != "DICOMDIR" and is_dicom(path):
            yield path


def _add(series: dict[tuple[object, ...], Series], path: Path, name: str, header: Any) -> None:
    """Put the planes of a file to those of its series, size and direction."""
    uid, patient = str(header.SeriesInstanceUID), str(header.get("PatientID") or "")
    for plane in planes_of_file(path, name, header):
        turn = plane.orientation and tuple(round(value, 3) for value in plane.orientation)
        key = (uid, plane.size, turn)
        series.setdefault(key, Series(uid, patient or uid)).planes.append(plane)


def _match(path: Path, header: Any, series: list[Series], legend: str | None) -> None:
    """Give a segmentation's segments to the series that its frames lie in."""
    frames = list(planes_of_file(path, path.name, header))
    found: dict[int, dict[int, list[int]]] = defaultdict(lambda: defaultdict(list))
    owner: Series | None = None
    numbers = {int(s.SegmentNumber): str(s.SegmentLabel) for s in header.SegmentSequence}
    numbers.pop(0, None)  # the background of a label map
    kind = str(header.SegmentationType)
    for frame, plane in enumerate(frames):
        group = header.PerFrameFunctionalGroupsSequence[frame]
        here, at = _find(path, group, plane, [owner] if owner else series)
        owner = here
        for number in numbers if kind == "LABELMAP" else [_segment(header, group)]:
            found[number][at].append(frame)
    for number, planes in found.items():
        if number not in numbers or owner is None:
            raise DataError(f"{path} has frames of segment {number}, which it does not describe")
        half = int(header.get("MaximumFractionalValue") or 1) / 2
        value = (number, number) if kind == "LABELMAP" else (half, 255)
        order = [planes.get(at, []) for at in range(len(owner.planes))]
        member = json.dumps({"planes": order, "value": value})
        owner.masks.append((path, member, legend or numbers[number]))


def _segment(header: Any, group: Any) -> int:
    shared = header.get("SharedFunctionalGroupsSequence") or [group]
    holder = group if "SegmentIdentificationSequence" in group else shared[0]
    return int(holder.SegmentIdentificationSequence[0].ReferencedSegmentNumber)


def _find(path: Path, group: Any, frame: Plane, series: list[Series]) -> tuple[Series, int]:
    """Find the plane that a frame was drawn on, by reference, else by position."""
    uid, number = _reference(group)
    for one in series:
        for at, plane in enumerate(one.planes):
            same_frame = number is None or plane.frame in (None, number - 1)
            if plane.uid == uid and same_frame and plane.size == frame.size:
                return one, at
    for one in series:
        for at, plane in enumerate(one.planes):
            if plane.size == frame.size and _same_place(plane, frame):
                return one, at
    raise DataError(
        f"a frame of {path} at {frame.position} lies on no slice of {frame.size} pixels that is "
        "here; are the images of this segmentation in the same folder?"
    )


def _reference(group: Any) -> tuple[str | None, int | None]:
    for image in group.get("DerivationImageSequence") or []:
        for source in image.get("SourceImageSequence") or []:
            number = source.get("ReferencedFrameNumber")
            return str(source.ReferencedSOPInstanceUID), int(number) if number else None
    return None, None


def _same_place(plane: Plane, frame: Plane) -> bool:
    if None in (plane.position, frame.position, plane.orientation, frame.orientation):
        return False
    pairs = [
        *zip(plane.position or (), frame.position or (), strict=True),
        *zip(plane.orientation or (), frame.orientation or (), strict=True),
    ]
    return all(abs(a - b) <= TOLERANCE for a, b in pairs)


def _samples(
    root: Path, name: str, series: Series, subject_pattern: str | None
) -> Iterator[Sample]:
    member = json.dumps([(plane.file, plane.frame) for plane in series.planes])
    subject = series.patient
    if subject_pattern is not None:
        subject = naming.subject_of(min(plane.file for plane in series.planes), subject_pattern)
    for number, plane in enumerate(series.planes):
        masks = tuple(
            MaskRef(PixelRef(path, number, read_segment, text), label)
            for path, text, label in series.masks
        )
        image = PixelRef(root, number, read_series, member)
        yield Sample(f"{name}#{number}", image, masks, subject, plane.size)
