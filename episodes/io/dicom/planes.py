"""DICOM: what is a file of it, headers, and the planes that a file holds.

Sizes are checked before pixels are read. A file of the deflated transfer syntax is refused, because
its header unpacks to any size.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from episodes.errors import DataError
from episodes.io.dicom.tags import frame_groups, marks_of
from episodes.io.limits import check_planes, check_voxels, guarded
from episodes.optional import import_optional

DEFLATED = "1.2.840.10008.1.2.1.99"
ENDINGS = (".dcm", ".ima", ".dicom")
_VRS = (b"UL", b"UI", b"OB", b"CS", b"SH", b"LO", b"DA", b"TM", b"DT", b"IS", b"PN", b"ST", b"AE")


@dataclass(frozen=True)
class Plane:
    """One plane of an image: a slice, or a frame of a file of several.

    Attributes:
        file: its path below the data set's folder.
        frame: its number in the file, from 0; None in a file of one.
        uid: the SOP instance UID of the file; its path where it has none.
        size: (height, width).
        orientation: direction cosines of a row and of a column, six numbers, or None.
        position: where its first pixel lies, in mm, or None.
        order: the instance and frame number.
        spacing: between rows and between columns, in mm, or None.
        photometric: how its values are to be shown, e.g. MONOCHROME2.
        marks: tags that may distinguish it from another at the same position, see `dicom.tags`.
        number: which slice it is, where the file numbers them instead of placing them.
    """

    file: str
    frame: int | None
    uid: str
    size: tuple[int, int]
    orientation: tuple[float, ...] | None
    position: tuple[float, ...] | None
    order: tuple[int, int]
    spacing: tuple[float, ...] | None = None
    photometric: str = ""
    marks: tuple[tuple[str, str], ...] = ()
    number: float | None = None

    @property
    def height(self) -> float | None:
        """How far along the normal of the plane it lies, in mm; None where that is unknown."""
        if self.orientation is None or self.position is None:
            return self.number
        normal = np.cross(self.orientation[:3], self.orientation[3:])
        return float(np.dot(normal, self.position))

    def mark(self, tag: str) -> str:
        """Return the value of one of `dicom_tags.TAGS`, "" where it has none."""
        return dict(self.marks).get(tag, "")


def is_dicom(path: Path) -> bool:
    """Whether a file ends like DICOM, or has no ending (or a number) and begins like DICOM."""
    ending = path.suffix.lower()
    if ending in ENDINGS:
        return path.is_file()
    if (ending and not ending[1:].isdecimal()) or not path.is_file():
        return False  # not opened: there may be very many pictures
    return begins_like_dicom(path)


def begins_like_dicom(path: Path) -> bool:
    """Whether a file has the mark of DICOM, or none and begins with a data element of its start."""
    with path.open("rb") as file:
        head = file.read(132)
    if head[128:] == b"DICM":
        return True
    for order in ("little", "big"):
        group, element = (int.from_bytes(head[i : i + 2], order) for i in (0, 2))
        if len(head) < 16 or group not in (2, 8) or element > 0x70:
            continue
        length = int.from_bytes(head[4:8], "little")
        if head[4:6] in _VRS or (order == "little" and length % 2 == 0 and length < 256):
            return True
    return False


def read_header(path: Path) -> Any:
    """Read all of a file but its pixels, as a pydicom data set; the mark at its start may lack.

    Raises:
        DataError: pydicom is not installed, or the file is damaged, deflated or no DICOM.
    """
    pydicom = import_optional("pydicom", "medical")
    with guarded(path, "DICOM"):
        with path.open("rb") as file:
            head = file.read(8192)
        marked = head[128:132] == b"DICM"
        if not marked and not begins_like_dicom(path):
            raise DataError(
                f"{path} cannot be read as DICOM: it begins neither with the mark of such files "
                "nor with a data element; is it complete? Otherwise take it out of the folder"
            )
        if marked:
            syntax = pydicom.filereader.read_file_meta_info(path).get("TransferSyntaxUID")
            deflated = syntax == DEFLATED
        else:
            deflated = DEFLATED.encode() in head
        if deflated:
            raise DataError(f"{path} is a deflated DICOM file; save it as explicit little endian")
        return pydicom.dcmread(path, stop_before_pixels=True, force=not marked)


def planes_of_file(path: Path, name: str, header: Any) -> Iterator[Plane]:
    """Iterate over the planes of a file, by its header.

    Args:
        path: the file.
        name: its path below the data set's folder.
        header: from `read_header`.

    Raises:
        DataError: the header lacks the size, or has one beyond the limits.
    """
    with guarded(path, "DICOM"):
        frames = checked_frames(path, header)
        size = (int(header.Rows), int(header.Columns))
        slices = header.get("SliceVector")
        numbered = slices if slices is not None and frames > 1 and len(slices) == frames else None
        for frame in range(frames):
            groups = frame_groups(header, frame)
            # One place in the header of several frames is that of none in particular.
            holders = groups if frames > 1 else (*groups, header)
            yield Plane(
                file=name,
                frame=frame if frames > 1 else None,
                uid=str(header.get("SOPInstanceUID") or name),
                size=size,
                orientation=_numbers(
                    (*groups, header), "PlaneOrientationSequence", "ImageOrientationPatient", 6
                ),
                position=_numbers(holders, "PlanePositionSequence", "ImagePositionPatient", 3),
                order=(int(header.get("InstanceNumber") or 0), frame),
                spacing=_numbers((*groups, header), "PixelMeasuresSequence", "PixelSpacing", 2),
                photometric=str(header.get("PhotometricInterpretation") or ""),
                marks=tuple(marks_of(header, frame).items()),
                number=None if numbered is None else float(numbered[frame]),
            )


def checked_frames(path: Path, header: Any) -> int:
    """Return the number of frames of a file, whose size is within the limits.

    Raises:
        DataError: it is not.
    """
    frames = int(header.get("NumberOfFrames") or 1)
    check_voxels(path, (frames, int(header.Rows), int(header.Columns)))
    check_planes(path, frames)
    return frames


def _numbers(
    holders: tuple[Any, ...], sequence: str, name: str, count: int
) -> tuple[float, ...] | None:
    """Find numbers in the frame's own functional groups, the shared ones, or the header."""
    for holder in holders:
        inner = holder.get(sequence)
        values = (inner[0] if inner else holder).get(name)
        if values:
            found = tuple(float(v) for v in values)
            return found if len(found) == count and np.isfinite(found).all() else None
    return None
