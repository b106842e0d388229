"""Netpbm pictures (PGM, PPM, PAM, PFM) in their own depth: the samples are those of the file.

Pillow scales samples to 8 or 16 bits, which turns the classes of a mask into other numbers and
takes half of the bits of a deep colour picture.
"""

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from episodes.errors import DataError
from episodes.io.limits import MAX_PIXELS, too_large

MAGIC = (b"P2", b"P3", b"P5", b"P6", b"P7", b"PF", b"Pf")
_CHANNELS = {b"P2": 1, b"P3": 3, b"P5": 1, b"P6": 3, b"PF": 3, b"Pf": 1}
_NUMBER = re.compile(rb"(?:\s|#[^\n]*\n)*([+-]?[0-9.]+)(?=\s)")
_LONGEST = 2**16  # a header with comments


@dataclass(frozen=True)
class _Header:
    """What stands before the samples."""

    magic: bytes
    width: int
    height: int
    channels: int
    top: float
    start: int
    alpha: bool = False


def shape(path: Path) -> tuple[int, int, int]:
    """Read height, width and channels.

    Raises:
        DataError: the header is damaged or declares more than the limits.
    """
    with path.open("rb") as file:
        found = _header(path, file.read(_LONGEST))
    return found.height, found.width, found.channels


def read(path: Path) -> tuple[np.ndarray, bool]:
    """Read samples [height width channel], and whether the last is transparency.

    Raises:
        DataError: see `shape`; or samples are missing, or larger than the header's maximum.
    """
    content = path.read_bytes()
    found = _header(path, content)
    count = found.height * found.width * found.channels
    samples = _samples(path, content, found, count)
    if samples.size < count:
        raise DataError(
            f"{path} cannot be read: it holds {samples.size:,} of {count:,} samples; is the file "
            "complete?"
        )
    if samples.dtype.kind != "f":
        if samples.max() > found.top or samples.min() < 0:
            raise DataError(
                f"{path} holds samples from {samples.min()} to {samples.max()}; its header allows "
                f"0 to {found.top:g}"
            )
        samples = samples.astype(np.uint8 if found.top < 256 else np.uint16)
    pixels = samples.reshape(found.height, found.width, found.channels)
    if found.magic in (b"PF", b"Pf"):
        pixels = pixels[::-1]  # its rows run from the bottom to the top
    return np.ascontiguousarray(pixels, pixels.dtype.newbyteorder("=")), found.alpha


def _samples(path: Path, content: bytes, found: _Header, count: int) -> np.ndarray:
    """Return at most `count` samples, as text or bytes hold them."""
    if found.magic in (b"P2", b"P3"):
        text = re.sub(rb"#[^\n]*", b"", content[found.start :])
        try:
            return np.array([int(number) for number in text.split()[:count]], np.int64)
        except (ValueError, OverflowError):
            raise DataError(f"{path} holds samples that are no numbers; is it damaged?") from None
    if found.magic in (b"PF", b"Pf"):
        kind: np.dtype = np.dtype("<f4" if found.top < 0 else ">f4")
    else:
        kind = np.dtype("u1" if found.top < 256 else ">u2")
    there = min(count, (len(content) - found.start) // kind.itemsize)
    return np.frombuffer(content, kind, there, found.start)


def _header(path: Path, content: bytes) -> _Header:
    magic = content[:2]
    found = _pam(path, content) if magic == b"P7" else _plain(path, magic, content)
    if found.height * found.width > MAX_PIXELS:
        raise too_large(path, f"{found.width} x {found.height} pixels")
    most = np.inf if magic in (b"PF", b"Pf") else 65535
    if min(found.height, found.width) < 1 or not 0 < abs(found.top) <= most:
        raise DataError(
            f"{path} declares {found.width} x {found.height} pixels of up to {found.top:g}; is "
            "its header damaged?"
        )
    return found


def _plain(path: Path, magic: bytes, content: bytes) -> _Header:
    place, numbers = 2, []
    for _ in range(3):
        match = _NUMBER.match(content, place, min(len(content), _LONGEST))
        if match is None:
            raise DataError(f"{path} has a damaged header; expected width, height and the maximum")
        numbers.append(match.group(1))
        place = match.end()
    try:
        return _Header(
            magic, int(numbers[0]), int(numbers[1]), _CHANNELS[magic], float(numbers[2]), place + 1
        )
    except ValueError:
        raise DataError(f"{path} has a header with {numbers}; expected whole numbers") from None


def _pam(path: Path, content: bytes) -> _Header:
    head, mark, _ = content[:_LONGEST].partition(b"\nENDHDR\n")
    lines = [line.split(None, 1) for line in head.split(b"\n")[1:] if line.strip()]
    words = {line[0]: line[-1].strip() for line in lines if not line[0].startswith(b"#")}
    try:
        channels = int(words[b"DEPTH"])
        kind = words.get(b"TUPLTYPE", b"").decode("ascii", "replace")
        found = _Header(
            *(b"P7", int(words[b"WIDTH"]), int(words[b"HEIGHT"]), channels),
            *(float(words[b"MAXVAL"]), len(head) + len(mark), kind.endswith("_ALPHA")),
        )
    except (KeyError, ValueError):
        raise DataError(
            f"{path} has a damaged header; expected WIDTH, HEIGHT, DEPTH and MAXVAL"
        ) from None
    odd = found.alpha and found.top not in (255, 65535)
    if not mark or channels != (1, 3)[channels > 2] + found.alpha or odd:
        raise DataError(
            f"{path} has {channels} channels of the kind {kind!r} and a maximum of {found.top:g}; "
            "expected grey or RGB, or with transparency and a maximum of 255 or 65535"
        )
    return found
