"""DICOM: series of slices and their segmentations (DICOM-SEG), anywhere below a folder.

    patient_1/ct/0001.dcm …       slices of one series, also without an ending
    patient_1/seg.dcm             segmentation that refers to the slices

A series is a volume. Its slices are put in order along the normal of their planes; slices of
another size or direction (a localizer) make a volume of their own. The subject is the PatientID. A
segmentation's frames are matched to slices by the SOP instance UID that they were derived from,
else by their position; the labels of its segments are the classes.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from episodes.catalog import Catalog, MaskRef, PixelRef, Sample
from episodes.dicom import is_dicom, planes_of_file, read_header, read_series
from episodes.dicom_seg import SEGMENTATIONS, Series, place_segments, read_segment
from episodes.errors import DataError
from episodes.legend import Legend
from episodes.limits import check_voxels, guarded
from episodes.readers import naming


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
            place_segments(path, header, list(series.values()), legend)
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
