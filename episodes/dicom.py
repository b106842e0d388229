"""DICOM: headers of slices, and the pixels of series.

Sizes are checked before pixels are read. A file of the deflated transfer syntax is refused, because
its header unpacks to any size.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from episodes.errors import DataError
from episodes.extras import need
from episodes.limits import check_planes, check_voxels, guarded, inside

DEFLATED = "1.2.840.10008.1.2.1.99"
PHOTOMETRIC = (
    *("MONOCHROME1", "MONOCHROME2", "RGB"),
    *("YBR_FULL", "YBR_FULL_422", "YBR_ICT", "YBR_RCT"),
)
ENDINGS = (".dcm", ".ima", ".dicom")


@dataclass(frozen=True)
class Plane:
    """One plane of an image: a slice, or a frame of a file of several.

    Attributes:
        file: its path below the data set's folder.
        frame: its number in the file, from 0; None in a file of one.
        uid: the SOP instance UID of the file.
        size: (height, width).
        orientation: direction cosines of a row and of a column, six numbers, or None.
        position: where its first pixel lies, in mm, or None.
        order: the instance and frame number.
    """

    file: str
    frame: int | None
    uid: str
    size: tuple[int, int]
    orientation: tuple[float, ...] | None
    position: tuple[float, ...] | None
    order: tuple[int, int]

    @property
    def height(self) -> float:
        """How far along the normal of the plane it lies, in mm; 0 where that is unknown."""
        if self.orientation is None or self.position is None:
            return 0.0
        normal = np.cross(self.orientation[:3], self.orientation[3:])
        return round(float(np.dot(normal, self.position)), 3)


def is_dicom(path: Path) -> bool:
    """Whether a file ends like DICOM, or has no ending (or a number) and says that it is."""
    ending = path.suffix.lower()
    if ending in ENDINGS:
        return path.is_file()
    if (ending and not ending[1:].isdecimal()) or not path.is_file():
        return False  # not opened: there may be very many pictures
    with path.open("rb") as file:
        return file.read(132)[128:] == b"DICM"


def read_header(path: Path) -> Any:
    """Read all of a file but its pixels, as a pydicom data set.

    Raises:
        DataError: pydicom is not installed, or the file is damaged, deflated or no image.
    """
    pydicom = need("pydicom", "medical")
    with guarded(path, "DICOM"):
        meta = pydicom.filereader.read_file_meta_info(path)
        if meta.get("TransferSyntaxUID") == DEFLATED:
            raise DataError(f"{path} is a deflated DICOM file; save it as explicit little endian")
        return pydicom.dcmread(path, stop_before_pixels=True)


def planes_of_file(path: Path, name: str, header: Any) -> Iterator[Plane]:
    """Go through the planes of a file, as its header tells.

    Args:
        path: the file.
        name: its path below the data set's folder.
        header: from `read_header`.

    Raises:
        DataError: the header lacks the size, or has one beyond the limits.
    """
    with guarded(path, "DICOM"):
        frames = int(header.get("NumberOfFrames") or 1)
        size = (int(header.Rows), int(header.Columns))
        check_voxels(path, (frames, *size))
        check_planes(path, frames)
        shared = _groups(header, "SharedFunctionalGroupsSequence", 0)
        for frame in range(frames):
            own = _groups(header, "PerFrameFunctionalGroupsSequence", frame)
            yield Plane(
                file=name,
                frame=frame if frames > 1 else None,
                uid=str(header.SOPInstanceUID),
                size=size,
                orientation=_numbers(
                    header, shared, own, "PlaneOrientationSequence", "ImageOrientationPatient", 6
                ),
                position=_numbers(
                    header, shared, own, "PlanePositionSequence", "ImagePositionPatient", 3
                ),
                order=(int(header.get("InstanceNumber") or 0), frame),
            )


def _groups(header: Any, sequence: str, frame: int) -> Any:
    groups = header.get(sequence) or []
    return groups[frame] if frame < len(groups) else None


def _numbers(
    header: Any, shared: Any, own: Any, sequence: str, name: str, count: int
) -> tuple[float, ...] | None:
    """Find numbers in the frame's own functional groups, the shared ones, or the header."""
    for groups in (own, shared):
        inner = groups.get(sequence) if groups is not None else None
        if inner:
            header = inner[0]
            break
    values = header.get(name)
    found = tuple(float(v) for v in values) if values else ()
    return found if len(found) == count and np.isfinite(found).all() else None


def read_series(path: Path, member: str) -> np.ndarray:
    """Read planes in the order of `member`, a JSON list of file names and frames.

    Values are rescaled by slope and intercept; MONOCHROME1, where low values are bright, is turned
    over within the range of the series.

    Returns:
        float32 [depth height width] where rescaled, else in the file's own type, or
        [depth height width 3].

    Raises:
        DataError: a file is missing or damaged, or packed in a way that nothing here unpacks.
    """
    pydicom = need("pydicom", "medical")
    planes: list[np.ndarray] = []
    inverted = False
    for name, frame in json.loads(member):
        file = inside(path, name)
        header = read_header(file)
        next(planes_of_file(file, name, header))  # checks the size
        with guarded(file, "DICOM"):
            check_voxels(path, (len(planes) + 1, int(header.Rows), int(header.Columns)))
            photometric = str(header.get("PhotometricInterpretation"))
            if photometric not in PHOTOMETRIC:
                raise DataError(f"{file} is {photometric}; expected {', '.join(PHOTOMETRIC)}")
            values = unpack(file, 0 if frame is None else frame)
            inverted = photometric == "MONOCHROME1"
            values = pydicom.pixels.apply_modality_lut(values, _rescaling(header, frame))
            planes.append(values.astype(np.float32) if values.dtype.kind == "f" else values)
    with guarded(path, "DICOM"):
        stack = np.stack(planes)
    return stack.max() - stack + stack.min() if inverted else stack


def unpack(path: Path, frame: int) -> np.ndarray:
    """Read the pixels of one frame.

    Raises:
        DataError: it is compressed and nothing here unpacks it.
    """
    pydicom = need("pydicom", "medical")
    try:
        return pydicom.pixels.pixel_array(path, index=frame)
    except RuntimeError as error:  # no plug-in, or none that manages
        raise DataError(
            f"{path} is compressed and cannot be unpacked: {str(error)[:200]}; install "
            "pylibjpeg[all], or save it uncompressed"
        ) from error


def _rescaling(header: Any, frame: int | None) -> Any:
    """Return the data set that holds slope and intercept: the header, or a functional group."""
    for sequence, number in (
        ("PerFrameFunctionalGroupsSequence", frame or 0),
        ("SharedFunctionalGroupsSequence", 0),
    ):
        groups = _groups(header, sequence, number)
        inner = groups.get("PixelValueTransformationSequence") if groups is not None else None
        if inner:
            return inner[0]
    return header
