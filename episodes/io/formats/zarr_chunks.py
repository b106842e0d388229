"""How large the chunks of a Zarr array become when they are unpacked, found out before they are.

The libraries that unpack chunks trust them: a file of a megabyte may become gigabytes. Here a chunk
says its size in its header (Blosc, Zstandard, LZ4), or is unpacked piece by piece and counted
(gzip, zlib, bzip2, LZMA).
"""

import bz2
import lzma
import math
import struct
import zlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from episodes.errors import DataError

COMPRESSORS = ("blosc", "zstd", "lz4", "gzip", "zlib", "bz2", "lzma")
PIECE = 2**20


def check_chunks(array: Path, codecs: Sequence[Any], max_bytes: int, inner: int) -> None:
    """Raise where a chunk would unpack to more than its place in the array.

    Args:
        array: the array's folder.
        codecs: names, or mappings of name and configuration, in the order of packing.
        max_bytes: size of a chunk (in shards, of an inner chunk).
        inner: how many inner chunks a shard has; 1 without shards.

    Raises:
        DataError: a chunk is too large, or has no size in its header.
    """
    shards = [c for c in codecs if isinstance(c, Mapping) and name_of(c) == "sharding_indexed"]
    settings = shards[0].get("configuration", {}) if shards else {}
    names = [name_of(codec) for codec in (settings.get("codecs", ()) if shards else codecs)]
    packed = [name for name in names if name in COMPRESSORS]
    if len(packed) > 1 or (shards and any(name_of(c) in COMPRESSORS for c in codecs)):
        raise DataError(
            f"{array} is packed twice ({', '.join(map(name_of, codecs))}); save it anew"
        )
    for path in sorted(array.rglob("*")):
        if not packed or path.name.startswith(".") or path.name == "zarr.json":
            continue
        if not path.is_file():
            continue
        content = path.read_bytes()
        for part in _parts(content, inner, settings) if shards else (content,):
            if unpacked_size(packed[0], part, max_bytes) > max_bytes:
                raise DataError(
                    f"chunk {path} unpacks to more than the {max_bytes:,} bytes of its "
                    "place in the array; is it damaged?"
                )


def name_of(codec: Any) -> str:
    """Return the name of a codec, given as text or as its metadata."""
    name = codec if isinstance(codec, str) else codec.get("name", codec.get("id"))
    return str(name).removeprefix("numcodecs.")


def unpacked_size(codec: str, content: bytes, max_bytes: int) -> int:
    """Return how many bytes a chunk unpacks to; counting ends a little beyond `most`.

    Raises:
        DataError: the header has no size.

    >>> unpacked_size("zlib", zlib.compress(bytes(1000)), 5000)
    1000
    """
    if codec == "blosc":
        return int(struct.unpack_from("<I", content, 4)[0])
    if codec == "lz4":
        return int(struct.unpack_from("<I", content, 0)[0])
    if codec == "zstd":
        return _zstd_size(content)
    total = 0
    while content and total <= max_bytes:
        unpacker: Any
        if codec in ("gzip", "zlib"):
            unpacker = zlib.decompressobj(zlib.MAX_WBITS | 32)
        else:
            unpacker = bz2.BZ2Decompressor() if codec == "bz2" else lzma.LZMADecompressor()
        while not unpacker.eof and total <= max_bytes:
            piece = unpacker.decompress(content, PIECE)
            # zlib hands back what it did not use, the others keep it.
            content = getattr(unpacker, "unconsumed_tail", b"")
            total += len(piece)
            if not piece and not content:
                break
        content = unpacker.unused_data
    return total


def _zstd_size(content: bytes) -> int:
    """Read the content size in the header of a Zstandard frame (RFC 8878)."""
    magic, descriptor = struct.unpack_from("<IB", content, 0)
    if magic != 0xFD2FB528:
        raise DataError("a chunk is no Zstandard frame")
    code, single = descriptor >> 6, descriptor >> 5 & 1
    place = 5 + (not single) + (0, 1, 2, 4)[descriptor & 3]
    if code == 0 and not single:
        raise DataError("a chunk has no size in its header; save the array anew")
    form = ("<B", "<H", "<I", "<Q")[code]
    return int(struct.unpack_from(form, content, place)[0]) + (256 if code == 1 else 0)


def _parts(content: bytes, inner: int, settings: Mapping[str, Any]) -> Iterator[bytes]:
    """Go through the chunks of a shard, as its index gives their places."""
    checks = sum(name_of(codec) == "crc32c" for codec in settings.get("index_codecs", ()))
    length = 16 * inner
    start = 0 if settings.get("index_location") == "start" else len(content) - length - 4 * checks
    index = struct.unpack_from(f"<{2 * inner}Q", content, start)
    for offset, size in zip(index[::2], index[1::2], strict=True):
        if offset != 2**64 - 1:  # a chunk that is empty
            yield content[offset : offset + size]


def inner_chunks(chunks: Sequence[int], shards: Sequence[int] | None) -> int:
    """Return how many chunks a shard has.

    >>> inner_chunks((1, 8, 8), (2, 16, 8))
    4
    """
    return 1 if shards is None else math.prod(shards) // math.prod(chunks)
