"""DICOM: series of slices and their segmentations (DICOM-SEG), anywhere below a folder.

    patient_1/ct/0001.dcm …       slices of one series, also without an ending
    patient_1/seg.dcm             segmentation that refers to the slices

A series is a volume, or several (echoes, time points, a localizer; see
`episodes.io.dicom.volumes`). Slices are put in order along the normal of their planes. The subject
is the PatientID. A segmentation's frames are matched to slices by the SOP instance UID that they
were derived from, else by their position; the labels of its segments are the classes. Files without
pixels (reports, contours) are left out and counted.
"""

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from episodes.catalog.catalog import Catalog, Sample
from episodes.errors import DataError
from episodes.io.dicom.pixels import check_decoder, read_series, unpack
from episodes.io.dicom.planes import Plane, is_dicom, planes_of_file, read_header
from episodes.io.dicom.segmentations import SEGMENTATIONS, assign_segments, read_segment
from episodes.io.dicom.volumes import Series, volumes_of
from episodes.io.limits import check_voxels, guarded
from episodes.io.pixels import MaskRef, PixelRef
from episodes.masks.label_map import LabelMap
from episodes.readers import naming


def recognises(root: Path) -> bool:
    """Whether a DICOM file lies somewhere below the folder."""
    return any(is_dicom(path) for path in root.rglob("*") if not _is_directory(path))


def read(
    root: Path, *, subject_pattern: str | None = None, label_map: LabelMap | None = None
) -> Catalog:
    """Read the headers of all files; each plane is a sample, each patient a subject.

    Args:
        root: the folder.
        subject_pattern: searched in the path of a series' first file; by default the PatientID.
        label_map: one name for the segments of all labels; by default the labels.

    Raises:
        DataError: a header is damaged or beyond the limits, or a segmentation fits no series.
    """
    if label_map is not None and not isinstance(label_map, str):
        raise DataError(
            f"the classes are {label_map}; segments have names: expected one name or none"
        )
    series: dict[str, Series] = {}
    segmentations: list[tuple[Path, Any]] = []
    without: Counter[str] = Counter()
    syntaxes: set[str] = set()
    for path in _files(root):
        header = read_header(path)
        with guarded(path, "DICOM"):
            if header.get("Rows") is None or header.get("Columns") is None:
                without[_kind(header)] += 1
                continue
            syntax = header.file_meta.get("TransferSyntaxUID")
            if syntax is not None and str(syntax) not in syntaxes:
                check_decoder(path, syntax)
                syntaxes.add(str(syntax))
            if str(header.get("SOPClassUID")) in SEGMENTATIONS:
                segmentations.append((path, header))
            else:
                _add(series, path, path.relative_to(root).as_posix(), header)
    notes = [f"{n} files without pixels are left out: {kind}" for kind, n in without.items()]
    volumes: list[Series] = []
    for one in series.values():
        found, more = volumes_of(one, lambda a, b: _same_pixels(root, a, b))
        volumes += found
        notes += more
    for volume in volumes:
        check_voxels(f"volume {volume.name}", (len(volume.planes), *volume.planes[0].size))
    for path, header in segmentations:
        with guarded(path, "DICOM-SEG"):
            assign_segments(path, header, volumes, label_map)
    samples = [s for volume in volumes for s in _samples(root, volume, subject_pattern)]
    return naming.catalog_of(root, samples, tuple(notes))


def _files(root: Path) -> Iterator[Path]:
    for path in sorted(root.rglob("*")):
        hidden = any(part.startswith(".") for part in path.relative_to(root).parts)
        if not hidden and not _is_directory(path) and is_dicom(path):
            yield path


def _is_directory(path: Path) -> bool:
    """Whether a file lists those of a medium, and holds no image."""
    return path.stem.upper() == "DICOMDIR"


def _kind(header: Any) -> str:
    name = getattr(header.get("SOPClassUID"), "name", "") or header.get("Modality")
    return str(name or "of no known kind")


def _add(series: dict[str, Series], path: Path, name: str, header: Any) -> None:
    """Put the planes of a file to those of its series."""
    # Without a series, files of one folder and patient belong together.
    uid = str(header.get("SeriesInstanceUID") or f"of {Path(name).parent.as_posix()}")
    patient = str(header.get("PatientID") or "")
    planes = series.setdefault(uid, Series(uid, patient or uid)).planes
    planes.extend(planes_of_file(path, name, header))


def _same_pixels(root: Path, one: Plane, other: Plane) -> bool:
    """Whether two planes hold the same stored values."""
    paths = [root / plane.file for plane in (one, other)]
    with guarded(paths[1], "DICOM"):
        first, second = (
            unpack(path, plane.frame or 0, read_header(path))
            for path, plane in zip(paths, (one, other), strict=True)
        )
    return one.size == other.size and np.array_equal(first, second)


def _samples(root: Path, series: Series, subject_pattern: str | None) -> Iterator[Sample]:
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
        yield Sample(f"{series.name}#{number}", image, masks, subject, plane.size)
