"""Zarr groups and arrays of strangers: metadata are checked before a chunk is touched.

A codec is code that a file chooses, and one of them (pickle) runs code of the file: only
codecs that unpack numbers are let in.
"""

import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from episodes.errors import DataError
from episodes.io.axes import Reading, Structure, arrange
from episodes.io.formats.zarr_chunks import PIECE, check_chunks, inner_chunks, name_of
from episodes.io.limits import check_planes, check_voxels, guarded, inside, read_text
from episodes.optional import import_optional

CODECS = frozenset(
    {
        *("blosc", "zstd", "gzip", "zlib", "lz4", "lzma", "bz2", "bytes", "transpose", "shuffle"),
        *("delta", "fixedscaleoffset", "packbits", "crc32c"),
        *("sharding_indexed", "astype", "quantize", "bitround"),
    }
)
"""Codecs that turn bytes into numbers and do nothing else."""


def group_attributes(group: Path) -> Mapping[str, Any]:
    """Read the metadata of a group; from version 0.5 on, OME's part stands under `ome`.

    Raises:
        DataError: there is no metadata, or it is no JSON object.
    """
    new, old = group / "zarr.json", group / ".zattrs"
    with guarded(group, "Zarr group"):
        content = json.loads(read_text(new if new.is_file() else old))
        attributes = content.get("attributes", {}) if new.is_file() else content
        found = attributes.get("ome", attributes)
    if not isinstance(found, Mapping):
        raise DataError(f"{group} has attributes that are no JSON object; is it damaged?")
    return found


def open_array(root: Path, name: str) -> Any:
    """Open an array to read, sure that its codecs are harmless and its chunks of bounded size.

    Raises:
        DataError: zarr is not installed, metadata are damaged, or a codec is not allowed.
    """
    zarr = import_optional("zarr", "zarr")
    path = root / name
    with guarded(path, "Zarr array"):
        for codec in _names(_codecs(path)):
            if codec not in CODECS:
                raise DataError(
                    f"{path} uses the codec {codec!r}; only {', '.join(sorted(CODECS))} are read. "
                    "Save it again with another"
                )
        array = zarr.open_array(path, mode="r")
        if array.dtype.kind not in "buif":
            raise DataError(f"{path} holds {array.dtype}; expected numbers")
        check_voxels(f"a chunk of {path}", tuple(array.chunks))
        check_voxels(path, tuple(array.shape))
    return array


def _codecs(path: Path) -> list[Any]:
    """Return the codecs of an array in the order of packing, as its metadata give them."""
    new, old = path / "zarr.json", path / ".zarray"
    content = json.loads(read_text(new if new.is_file() else old))
    if new.is_file():
        return list(content["codecs"])
    return [c for c in (*(content.get("filters") or ()), content.get("compressor")) if c]


def _names(codecs: list[Any]) -> Iterator[str]:
    """Go through the names of codecs, those inside shards included."""
    for codec in codecs:
        yield name_of(codec)
        if isinstance(codec, Mapping):
            inner = codec.get("configuration", {})
            yield from _names([*inner.get("codecs", ()), *inner.get("index_codecs", ())])


def _multiscale(group: Path) -> Mapping[str, Any]:
    with guarded(group, "OME-Zarr"):
        return group_attributes(group)["multiscales"][0]


def finest_array(group: Path) -> str:
    """Return the path of the finest level of a group."""
    multiscale = _multiscale(group)
    with guarded(group, "OME-Zarr"):
        name = str(multiscale["datasets"][0]["path"])
        return inside(group, name).relative_to(group).as_posix()


def grid_transform(group: Path) -> dict[str, tuple[float, float]]:
    """Read spacing and position of the finest level along x, y and z; empty where none is named."""
    multiscale = _multiscale(group)
    with guarded(group, "OME-Zarr"):
        axes = [
            str(a["name"] if isinstance(a, Mapping) else a) for a in multiscale.get("axes", "tczyx")
        ]
        scale, start = [1.0] * len(axes), [0.0] * len(axes)
        changes = [
            *multiscale["datasets"][0].get("coordinateTransformations", ()),
            *multiscale.get("coordinateTransformations", ()),
        ]
        for change in changes:
            factors = change.get("scale") or [1.0] * len(axes)
            shifts = change.get("translation") or [0.0] * len(axes)
            scale = [float(a) * float(b) for a, b in zip(scale, factors, strict=True)]
            start = [float(a) * float(b) for a, b in zip(start, factors, strict=True)]
            start = [a + float(b) for a, b in zip(start, shifts, strict=True)]
        if set(scale) == {1.0} and set(start) == {0.0}:
            return {}
        found = zip(axes, scale, start, strict=True)
        return {axis: (step, first) for axis, step, first in found if axis in "xyz"}


def structure_of(group: Path, array: str) -> Structure:
    """Read the axes and shape of an array, checked against the limits."""
    path = group / array
    multiscale = _multiscale(group)
    with guarded(path, "OME-Zarr"):
        shape = tuple(int(n) for n in open_array(group, array).shape)
        axes = multiscale.get("axes", "tczyx")
        letters = "".join(str(a["name"] if isinstance(a, Mapping) else a)[0] for a in axes).upper()
        check_voxels(path, shape)
        found = Structure(letters, shape)
        check_planes(path, found.planes)
        return found


def read_array(path: Path, member: str) -> np.ndarray:
    """Read an array of a group as [depth height width] or [depth height width 3]."""
    content = json.loads(member)
    group = inside(path, content["group"]) if content["group"] else path
    structure = structure_of(group, content["array"])
    with guarded(group, "Zarr"):
        array = open_array(group, content["array"])
        # No number takes more than 8 bytes, whatever filters make of it.
        most = 8 * math.prod(array.chunks) + PIECE
        folder = group / content["array"]
        check_chunks(folder, _codecs(folder), most, inner_chunks(array.chunks, array.shards))
        values = np.asarray(array[...])
    channel = content["channel"]
    reading = None if channel is None else Reading(channels=(int(channel),))
    return arrange(values, structure, str(path), reading)
