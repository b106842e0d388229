"""Where pixels and masks lie, and the label that marks unknown pixels."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

IGNORE = 255
"""The label of pixels about which nothing is known; they count nowhere."""


PixelReader = Callable[[Path, str], np.ndarray]
"""Reads all planes of one source, given its path and member, as [height width] (one plane),
[depth height width] or, in colour, [depth height width channel]. It is a function of a module, so
that worker processes find it again by its name."""


@dataclass(frozen=True, slots=True)
class PixelRef:
    """Where one plane of pixels lies: a file and, in a volume or stack, the plane in it.

    Attributes:
        path: the file, or the folder of a source made of many files.
        plane: the plane in the source; None is the first.
        reader: reads sources that are no plain picture or volume; None for those that are.
        member: what `reader` needs to find the source in `path`: the name inside an archive,
            file names, run-lengths.
    """

    path: Path
    plane: int | None = None
    reader: PixelReader | None = None
    member: str = ""

    @property
    def source(self) -> "PixelRef":
        """All planes that are read together: what a cache of pixels is keyed by."""
        # Not `replace`, which takes four times as long: episodes come here for every image.
        return self if self.plane is None else PixelRef(self.path, None, self.reader, self.member)

    @property
    def name(self) -> str:
        """The path, with the member where it is short enough to read, for messages."""
        short = self.member if len(self.member) <= 80 else f"{self.member[:77]}..."
        return f"{self.path}:{short}" if self.member else str(self.path)


@dataclass(frozen=True, slots=True)
class MaskRef:
    """Where an annotation lies and what its values mean.

    Attributes:
        pixels: the plane that holds the values.
        label_map: `{value: class name}`, a value with the name None being background; or one class
            name, which every non-zero value then has (binary and instance masks); or None for
            "find out from the values" (`episodes.catalog.class_areas` does).
    """

    pixels: PixelRef
    label_map: Mapping[int, str | None] | str | None = None
