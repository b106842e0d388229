"""The pixels of DICOM: what pydicom reads, rescaled, turned over, and without padding."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from episodes.errors import DataError
from episodes.io.dicom.planes import checked_frames, read_header
from episodes.io.dicom.tags import frame_groups
from episodes.io.limits import check_voxels, guarded, inside
from episodes.optional import import_optional

PHOTOMETRIC = (
    *("MONOCHROME1", "MONOCHROME2", "PALETTE COLOR", "RGB"),
    *("YBR_FULL", "YBR_FULL_422", "YBR_ICT", "YBR_RCT"),
)
_AIR = -1024.0  # HU: below it lies nothing of a body
_GAP = 300.0  # HU between a constant around the field of view and the darkest tissue


def read_series(path: Path, member: str) -> np.ndarray:
    """Read planes in the order of `member`, a JSON list of file names and frames.

    Values are rescaled by slope and intercept, of each slice its own; no window is applied.
    MONOCHROME1, where low values are bright, is turned over within the range of the series.
    Padding (PixelPaddingValue, and a constant far below air in CT) was never measured: it becomes
    the smallest value that was, so that it stretches no range and stays as dark as background.

    Returns:
        float32 [depth height width] where rescaled, else in the file's own type, or
        [depth height width 3].

    Raises:
        DataError: a file is missing or damaged, or packed in a way that nothing here unpacks.
    """
    pydicom = import_optional("pydicom", "medical")
    planes: list[np.ndarray] = []
    padded: list[np.ndarray] = []
    header: Any = None
    last: Path | None = None
    for name, frame in json.loads(member):
        file = inside(path, name)
        if header is None or file != last:  # the header of many frames is long
            header, last = read_header(file), file
        with guarded(file, "DICOM"):
            checked_frames(file, header)
            check_voxels(path, (len(planes) + 1, int(header.Rows), int(header.Columns)))
            values = unpack(file, 0 if frame is None else frame, header)
            padded.append(_is_padding(values, header))
            photometric = str(header.get("PhotometricInterpretation"))
            if photometric == "PALETTE COLOR":
                values = pydicom.pixels.apply_color_lut(values, header)
            else:
                values = pydicom.pixels.apply_modality_lut(values, _rescaling(header, frame or 0))
            planes.append(values.astype(np.float32) if values.dtype.kind == "f" else values)
    with guarded(path, "DICOM"):
        stack, outside = np.stack(planes), np.stack(padded)
    inverted = photometric == "MONOCHROME1"
    return _without_padding(stack, outside, inverted, str(header.get("Modality") or ""))


def unpack(path: Path, frame: int, header: Any) -> np.ndarray:
    """Read the pixels of one frame, as pydicom does; YBR colours become RGB.

    Args:
        path: the file.
        frame: number of the frame, from 0.
        header: from `read_header`.

    Raises:
        DataError: it is compressed and nothing here unpacks it.
    """
    pydicom = import_optional("pydicom", "medical")
    photometric = str(header.get("PhotometricInterpretation"))
    if photometric not in PHOTOMETRIC:
        raise DataError(f"{path} is {photometric}; expected {', '.join(PHOTOMETRIC)}")
    syntax = header.file_meta.get("TransferSyntaxUID") if hasattr(header, "file_meta") else None
    if syntax is not None:
        check_decoder(path, syntax)
    try:
        if syntax is not None:
            return pydicom.pixels.pixel_array(path, index=frame)
        whole = pydicom.dcmread(path, force=True)
        whole.file_meta = pydicom.dataset.FileMetaDataset()
        implicit, little = whole.original_encoding
        native = pydicom.uid.ExplicitVRLittleEndian if little else pydicom.uid.ExplicitVRBigEndian
        whole.file_meta.TransferSyntaxUID = (
            pydicom.uid.ImplicitVRLittleEndian if implicit else native
        )
        return pydicom.pixels.pixel_array(whole, index=frame)
    except RuntimeError as error:  # no plug-in manages
        raise DataError(
            f"{path} is compressed ({getattr(syntax, 'name', syntax)}) and cannot be unpacked; is "
            "the file complete?"
        ) from error


def check_decoder(path: Path, syntax: Any) -> None:
    """Raise unless something here unpacks a transfer syntax.

    Raises:
        DataError: nothing does; the packages that would are named.
    """
    pydicom = import_optional("pydicom", "medical")
    try:
        decoder = pydicom.pixels.get_decoder(syntax)
    except NotImplementedError:
        raise DataError(
            f"{path} is packed as {syntax.name} ({syntax}), which is not read; save it uncompressed"
        ) from None
    if not decoder.is_available:
        packages = " or ".join(
            each.replace(" - requires ", ": ") for each in decoder.missing_dependencies
        )
        raise DataError(
            f"{path} is packed as {syntax.name} ({syntax}), which nothing installed unpacks; "
            f"install one of {packages}; or save it uncompressed, e.g. with gdcmconv --raw"
        )


def _is_padding(values: np.ndarray, header: Any) -> np.ndarray:
    """Mark stored values that the header calls padding: bool, shaped like `values`."""
    first = header.get("PixelPaddingValue")
    if first is None or values.ndim != 2:
        return np.zeros(values.shape[:2], bool)
    last = header.get("PixelPaddingRangeLimit")
    ends = [_as_stored(end, header) for end in (first, first if last is None else last)]
    return (values >= min(ends)) & (values <= max(ends))


def _as_stored(value: Any, header: Any) -> int:
    """Read a padding value, which some files give without its sign."""
    number = int.from_bytes(value, "little") if isinstance(value, bytes) else int(value)
    signed = int(header.get("PixelRepresentation") or 0) == 1
    half = 1 << (int(header.BitsAllocated) - 1)
    return number - 2 * half if signed and number >= half else number


def _without_padding(
    stack: np.ndarray, outside: np.ndarray, inverted: bool, modality: str
) -> np.ndarray:
    """Turn values over where low ones are bright, and give padding the smallest value measured."""
    if stack.ndim == 4 or outside.all():
        return stack
    if modality == "CT" and stack.dtype.kind in "if":
        outside = outside | _far_below_air(stack, outside)
    measured = stack[~outside]
    least, most = measured.min(), measured.max()
    if inverted:
        stack = most - stack + least
    if outside.any():
        stack = np.where(outside, least, stack)
    return stack


def _far_below_air(stack: np.ndarray, outside: np.ndarray) -> np.ndarray:
    """Mark a constant such as -2000 or -3024 HU that scanners write outside their field of view."""
    least = stack[~outside].min()
    rest = stack[~outside & (stack > least)]
    alone = least < _AIR and rest.size and float(rest.min()) - float(least) >= _GAP
    return stack == least if alone else np.zeros(stack.shape, bool)


def _rescaling(header: Any, frame: int) -> Any:
    """Return the data set that holds slope and intercept: a functional group, or the header."""
    for group in frame_groups(header, frame):
        inner = group.get("PixelValueTransformationSequence")
        if inner:
            return inner[0]
    return header
