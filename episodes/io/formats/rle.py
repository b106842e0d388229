"""Run-length encoded masks: the two forms of COCO and the pairs of the 2018 Data Science Bowl."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from episodes.errors import DataError
from episodes.io.limits import MAX_PIXELS


def from_counts(counts: Sequence[Any], size: tuple[int, int]) -> np.ndarray:
    """Unpack counts of zeros and ones in turn, zeros first, column after column.

    Args:
        counts: lengths of the runs, in pixels.
        size: (height, width).

    Returns:
        bool [height width].

    Raises:
        DataError: a count is negative, or they do not add up to the size.

    >>> from_counts([1, 2, 3], (2, 3)).astype(int)
    array([[0, 1, 0],
           [1, 0, 0]])
    """
    check_counts(counts, size)
    values = np.arange(len(counts)) % 2 == 1
    return np.repeat(values, counts).reshape(size, order="F")


def check_counts(counts: Sequence[Any], size: tuple[int, int]) -> None:
    """Raise unless counts can be unpacked to this size.

    Raises:
        DataError: a count is negative, or they do not add up to the size.
    """
    check_size(size)
    if any(type(count) is not int or count < 0 for count in counts):
        raise DataError("run-lengths hold something else than whole numbers from 0 upwards")
    if sum(counts) != size[0] * size[1]:
        raise DataError(f"run-lengths add up to {sum(counts)}; expected {size[0]} x {size[1]}")


def counts_of_text(text: str) -> list[int]:
    """Read COCO's compressed counts.

    A number is written in groups of five bits, low ones first, each as a character from `0` on;
    32 in a character says that more follow, 16 in the last one that the number is negative. From
    the fourth number on, the difference to the number two places before is written.

    Raises:
        DataError: a character is foreign, or the text ends within a number.

    >>> counts_of_text("52203")
    [5, 2, 2, 2, 5]
    """
    codes = np.frombuffer(text.encode("utf-8"), np.uint8).astype(np.int64) - 48
    if codes.size and (codes.min() < 0 or codes.max() > 63):
        raise DataError("compressed run-lengths hold characters that are none of COCO's")
    counts: list[int] = []
    number = shift = 0
    for code in codes.tolist():
        number |= (code & 31) << shift
        shift += 5
        if shift > 50:
            raise DataError("compressed run-lengths hold a number that is too long")
        if code & 32:
            continue
        if code & 16:
            number -= 1 << shift
        counts.append(number + (counts[-2] if len(counts) > 2 else 0))
        number = shift = 0
    if shift:
        raise DataError("compressed run-lengths end within a number")
    return counts


def from_pairs(text: str, size: tuple[int, int]) -> np.ndarray:
    """Unpack `start length start length …`, starts counted from 1, column after column.

    Args:
        text: numbers with spaces between; none is an empty mask.
        size: (height, width).

    Returns:
        bool [height width].

    Raises:
        DataError: no whole numbers, an odd number of them, or a run outside the image.

    >>> from_pairs("2 2 6 1", (2, 3)).astype(int)
    array([[0, 1, 0],
           [1, 0, 1]])
    """
    starts, lengths = read_pairs(text, size)
    # +1 where a run begins and -1 behind its end: the running sum is positive inside runs.
    steps = np.zeros(size[0] * size[1] + 1, np.int32)
    np.add.at(steps, starts, 1)
    np.add.at(steps, starts + lengths, -1)
    return (np.cumsum(steps[:-1], out=steps[:-1]) > 0).reshape(size, order="F")


def to_pairs(mask: np.ndarray) -> str:
    """Pack a mask as `start length start length …`, what `from_pairs` unpacks.

    Args:
        mask: bool [height width].

    >>> to_pairs(np.array([[0, 1, 0], [1, 0, 1]], bool))
    '2 2 6 1'
    """
    padded = np.concatenate([[0], mask.ravel(order="F").astype(np.int8), [0]])
    steps = np.diff(padded)
    starts = np.flatnonzero(steps == 1)
    lengths = np.flatnonzero(steps == -1) - starts
    return " ".join(map(str, np.stack([starts + 1, lengths], axis=1).ravel().tolist()))


def read_pairs(text: str, size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Read the pairs of `from_pairs`: where runs start, from 0, and how long they are.

    Raises:
        DataError: see `from_pairs`.
    """
    check_size(size)
    words = text.split()
    if len(words) % 2 or not all(word.isdecimal() and len(word) < 12 for word in words):
        raise DataError(f"run-lengths are {text[:40]!r}; expected pairs of start and length")
    numbers = np.array(words, dtype=np.int64).reshape(-1, 2)
    starts, lengths = numbers[:, 0] - 1, numbers[:, 1]
    if (starts < 0).any() or (starts + lengths > size[0] * size[1]).any():
        raise DataError(f"run-lengths reach outside the image of {size[0]} x {size[1]} pixels")
    return starts, lengths


def check_size(size: tuple[int, int]) -> None:
    """Raise unless (height, width) are whole numbers of an image that may be allocated.

    Raises:
        DataError: they are not.
    """
    if not all(type(n) is int and n > 0 for n in size) or size[0] * size[1] > MAX_PIXELS:
        raise DataError(
            f"the image size is {size}; expected height and width of at most {MAX_PIXELS:,} pixels"
        )
