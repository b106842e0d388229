"""DICOM-SEG: which segment lies on which slice of a series, and the pixels of a segment."""

import json
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np

from episodes.errors import DataError, shorten
from episodes.io.dicom.pixels import unpack
from episodes.io.dicom.planes import Plane, planes_of_file, read_header
from episodes.io.dicom.volumes import Series
from episodes.io.limits import check_voxels, guarded

SEGMENTATIONS = ("1.2.840.10008.5.1.4.1.1.66.4", "1.2.840.10008.5.1.4.1.1.66.7")
"""The SOP classes of segmentations: binary or fractional, and label maps."""

TOLERANCE = 0.01
"""How far apart positions of the same plane may be, in mm."""


def assign_segments(path: Path, header: Any, series: list[Series], label_map: str | None) -> None:
    """Give a segmentation's segments to the series that its frames lie in.

    Args:
        path: the segmentation.
        header: its header.
        series: all series of the data set; the one that fits gets the masks.
        label_map: one name for all segments; None for their labels.

    Raises:
        DataError: a frame lies on no slice, or is of a segment that is not described.
    """
    frames = list(planes_of_file(path, path.name, header))
    found: dict[int, dict[int, list[int]]] = defaultdict(lambda: defaultdict(list))
    owner: Series | None = None
    numbers = {int(s.SegmentNumber): str(s.SegmentLabel) for s in header.SegmentSequence}
    numbers.pop(0, None)  # the background of a label image
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
        owner.masks.append((path, member, label_map or numbers[number]))


def _segment(header: Any, group: Any) -> int:
    shared = header.get("SharedFunctionalGroupsSequence") or [group]
    holder = group if "SegmentIdentificationSequence" in group else shared[0]
    return int(holder.SegmentIdentificationSequence[0].ReferencedSegmentNumber)


def _find(path: Path, group: Any, frame: Plane, series: list[Series]) -> tuple[Series, int]:
    """Find the plane that a frame was drawn on: that it refers to if it lies there, else by place.

    Raises:
        DataError: there is none, or several volumes have one at its place.
    """
    uid, number = _reference(group)
    fitting: list[tuple[Series, int]] = []
    for one in series:
        for at, plane in enumerate(one.planes):
            same_place = _same_place(plane, frame)
            same_frame = number is None or plane.frame in (None, number - 1)
            if plane.size != frame.size or same_place is False:
                continue
            if plane.uid == uid and same_frame:
                return one, at
            if same_place:
                fitting.append((one, at))
    if len({id(one) for one, _ in fitting}) > 1:
        raise DataError(
            f"a frame of {path} at {frame.position} refers to no slice that is here, and lies on "
            f"those of {shorten(one.name for one, _ in fitting)}; keep one of these volumes in the "
            "folder"
        )
    if fitting:
        return fitting[0]
    raise DataError(
        f"a frame of {path} at {frame.position} lies on no slice of {frame.size} pixels that is "
        "here; are the images of this segmentation in the same folder, and was it drawn on their "
        "own grid?"
    )


def _reference(group: Any) -> tuple[str | None, int | None]:
    for image in group.get("DerivationImageSequence") or []:
        for source in image.get("SourceImageSequence") or []:
            number = source.get("ReferencedFrameNumber")
            return str(source.ReferencedSOPInstanceUID), int(number) if number else None
    return None, None


def _same_place(plane: Plane, frame: Plane) -> bool | None:
    """Whether a frame lies on a plane; None where one of them has no position."""
    if None in (plane.position, frame.position, plane.orientation, frame.orientation):
        return None
    pairs = [
        *zip(plane.position or (), frame.position or (), strict=True),
        *zip(plane.orientation or (), frame.orientation or (), strict=True),
    ]
    if plane.spacing is not None and frame.spacing is not None:
        pairs += zip(plane.spacing, frame.spacing, strict=True)
    return all(abs(a - b) <= TOLERANCE for a, b in pairs)


def read_segment(path: Path, member: str) -> np.ndarray:
    """Read one segment of a segmentation: bool [depth height width].

    Args:
        path: the segmentation.
        member: JSON with `planes`, a frame number for every plane of the image or null, and
            `value`, what a pixel must hold or, for fractions, reach.
    """
    content = json.loads(member)
    header = read_header(path)
    first = next(planes_of_file(path, path.name, header))
    frames, (least, most) = content["planes"], content["value"]
    check_voxels(path, (len(frames), *first.size))
    planes = np.zeros((len(frames), *first.size), bool)
    with guarded(path, "DICOM"):
        for plane, numbers in enumerate(frames):
            for number in numbers:
                values = unpack(path, number, header)
                planes[plane] |= (values >= least) & (values <= most)
    return planes
