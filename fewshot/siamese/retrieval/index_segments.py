"""The files of a match index: segments that never change, and one manifest that names them.

A segment is `NAME.f32`, float32 embeddings in C order, little-endian, which are memory-mapped; and
`NAME.arrow`, an Arrow table of keys and metadata. What is deleted is marked in a bit a row,
`NAME-N.dead`, a new file for every deletion. The manifest names the files that count, with their
sizes and checksums. A change writes new files, syncs them, and replaces the manifest in one step:
a kill at any moment leaves the state before or the state after. Files that no manifest names are
removed by the next change. Nothing here is pickled.
"""

import json
import os
import re
import secrets
import sys
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from episodes.errors import DataError
from episodes.io.write import write_json
from episodes.optional import import_optional
from fewshot.siamese.retrieval.index import Row
from fewshot.siamese.retrieval.ranking import Distance

MANIFEST, FORMAT = "manifest.json", 1
_MAX_MANIFEST = 2**26  # bytes
_INDEX_FILE = re.compile(r"s[0-9a-f]{12}(-[0-9a-f]{12})?\.(f32|arrow|dead)|\.partial-.*")
_NAME = re.compile(r"s[0-9a-f]{12}")
_DEAD = re.compile(r"s[0-9a-f]{12}-[0-9a-f]{12}\.dead")


@dataclass(frozen=True)
class SegmentEntry:
    """The manifest's entry of a segment.

    Attributes:
        name: of its files.
        rows: how many items were written.
        embeddings_crc, table_crc: CRC-32 of the two files.
        dead: name of the file of deletion marks; "" for none.
        dead_crc: its CRC-32.
    """

    name: str
    rows: int
    embeddings_crc: int
    table_crc: int
    dead: str = ""
    dead_crc: int = 0


@dataclass(frozen=True)
class Manifest:
    """The state of an index.

    Attributes:
        dim: length of an embedding.
        distance: how embeddings are compared.
        about: metadata of the index.
        columns: type of each name in the metadata.
        segments: in the order they were written.
        commits: how many changes there were.
    """

    dim: int
    distance: Distance
    about: dict[str, Any] = field(default_factory=dict)
    columns: dict[str, str] = field(default_factory=dict)
    segments: tuple[SegmentEntry, ...] = ()
    commits: int = 0


@dataclass(frozen=True)
class Segment:
    """An opened segment.

    Attributes:
        entry: of the manifest.
        embeddings: memory map, float32 [row dim].
        table: an Arrow table with the column `key` and those of the metadata.
        alive: bool [row].
    """

    entry: SegmentEntry
    embeddings: np.ndarray
    table: Any
    alive: np.ndarray


def read_manifest(folder: Path) -> Manifest:
    """Read the state of an index.

    Raises:
        DataError: there is none, or it is damaged.
    """
    path = folder / MANIFEST
    try:
        if path.stat().st_size > _MAX_MANIFEST:
            raise DataError(f"{path} has {path.stat().st_size:,} bytes; it is no match index")
        content = json.loads(path.read_text(encoding="utf-8"))
        if content.pop("format") != FORMAT:
            raise ValueError(f"its format is not {FORMAT}")
        entries = tuple(SegmentEntry(**entry) for entry in content.pop("segments"))
        manifest = Manifest(**content, segments=entries)
        _check(manifest)
    except FileNotFoundError:
        raise DataError(
            f"there is no match index in {folder}; make one with `fewshot match build`"
        ) from None
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(
            f"{path} is damaged ({error!r}); build the index again, or copy it back"
        ) from error
    return manifest


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Make a state the one that counts, in one step, and drop files that it does not name."""
    sync_folder(folder)
    content = {"format": FORMAT, **asdict(replace(manifest, commits=manifest.commits + 1))}
    write_json(folder / MANIFEST, content)
    sync_folder(folder)
    kept = {f"{e.name}.{end}" for e in manifest.segments for end in ("f32", "arrow")}
    kept |= {e.dead for e in manifest.segments}
    for path in folder.iterdir():
        if _INDEX_FILE.fullmatch(path.name) and path.name not in kept:
            path.unlink(missing_ok=True)


def write_segment(
    folder: Path, keys: Sequence[str], embeddings: np.ndarray, table: Any
) -> SegmentEntry:
    """Write the files of a segment, which count once a manifest names them.

    Raises:
        DataError: the disk is full or may not be written.
    """
    pa = import_optional("pyarrow", "match")
    name = f"s{secrets.token_hex(6)}"
    content = np.ascontiguousarray(embeddings, "<f4")
    sink = pa.BufferOutputStream()
    with pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)
    arrow = sink.getvalue().to_pybytes()
    _write(folder / f"{name}.f32", content)
    _write(folder / f"{name}.arrow", arrow)
    return SegmentEntry(name, len(keys), _crc(content), zlib.crc32(arrow))


def mark_dead(folder: Path, segment: Segment, rows: np.ndarray) -> SegmentEntry:
    """Write deletion marks for some more rows of a segment; returns its new entry."""
    alive = segment.alive.copy()
    alive[rows] = False
    content = np.packbits(~alive)
    name = f"{segment.entry.name}-{secrets.token_hex(6)}.dead"
    _write(folder / name, content)
    return replace(segment.entry, dead=name, dead_crc=_crc(content))


def open_segment(folder: Path, entry: SegmentEntry, dim: int) -> Segment:
    """Map the embeddings of a segment and read its table.

    Sizes and the checksums of table and deletion marks are checked; those of the embeddings, which
    would have to be read whole, by `check_embeddings`.

    Raises:
        FileNotFoundError: a file is missing.
        DataError: a file is damaged.
    """
    pa = import_optional("pyarrow", "match")
    path = folder / f"{entry.name}.f32"
    size, expected = path.stat().st_size, 4 * dim * entry.rows
    if size != expected:
        raise _damaged(path, f"has {size:,} bytes, not {expected:,}")
    if entry.rows:
        embeddings: np.ndarray = np.memmap(path, "<f4", mode="r", shape=(entry.rows, dim))
    else:
        embeddings = np.zeros((0, dim), np.float32)
    content = _checked_bytes(folder / f"{entry.name}.arrow", entry.table_crc)
    try:
        table = pa.ipc.open_file(pa.BufferReader(content)).read_all()
        table.validate(full=True)
    except pa.ArrowInvalid as error:
        raise _damaged(folder / f"{entry.name}.arrow", str(error)) from error
    if len(table) != entry.rows or "key" not in table.column_names:
        raise _damaged(folder / f"{entry.name}.arrow", f"has {len(table)} rows")
    alive = np.ones(entry.rows, bool)
    if entry.dead:
        marks = np.frombuffer(_checked_bytes(folder / entry.dead, entry.dead_crc), np.uint8)
        if len(marks) != -(-entry.rows // 8):
            raise _damaged(folder / entry.dead, f"has {len(marks)} bytes")
        alive = ~np.unpackbits(marks, count=entry.rows).view(bool)
    return Segment(entry, embeddings, table, alive)


def check_embeddings(folder: Path, segment: Segment) -> None:
    """Read the embeddings of a segment whole and compare their checksum.

    Raises:
        DataError: they are not what was written.
    """
    if _crc(segment.embeddings) != segment.entry.embeddings_crc:
        raise _damaged(folder / f"{segment.entry.name}.f32", "has another checksum")


def arrow_table(keys: Sequence[str], rows: Sequence[Row], columns: Mapping[str, str]) -> Any:
    """Make the table of a segment; what a row does not name is null."""
    pa = import_optional("pyarrow", "match")
    arrays = {"key": pa.array(keys, pa.string())}
    for name, kind in columns.items():
        values = [row.get(name) for row in rows]
        if kind == "double":
            values = [None if value is None else float(value) for value in values]
        arrays[name] = pa.array(values, getattr(pa, ARROW[kind])())
    return pa.table(arrays)


ARROW = {"string": "string", "bool": "bool_", "int64": "int64", "double": "float64"}


def sync_folder(folder: Path) -> None:
    """Make the names in a folder survive a power cut, where the system can."""
    if sys.platform == "win32":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _check(manifest: Manifest) -> None:
    """Refuse a manifest whose parts are of the wrong kind, or that points outside its folder."""
    if type(manifest.dim) is not int or manifest.dim < 1:
        raise ValueError(f"dim is {manifest.dim!r}")
    if manifest.distance not in ("cosine", "euclidean"):
        raise ValueError(f"distance is {manifest.distance!r}")
    if not isinstance(manifest.about, dict) or type(manifest.commits) is not int:
        raise ValueError("about or commits is of another kind")
    if not set(manifest.columns.values()) <= set(ARROW):
        raise ValueError(f"columns are {manifest.columns!r}")
    for entry in manifest.segments:
        numbers = (entry.rows, entry.embeddings_crc, entry.table_crc, entry.dead_crc)
        if not all(type(number) is int and number >= 0 for number in numbers):
            raise ValueError(f"segment {entry.name!r} has {numbers}")
        if not _NAME.fullmatch(entry.name) or not (not entry.dead or _DEAD.fullmatch(entry.dead)):
            raise ValueError(f"a segment is called {entry.name!r}, {entry.dead!r}")


def _write(path: Path, content: Any) -> None:
    try:
        with path.open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        path.unlink(missing_ok=True)
        raise DataError(
            f"{path} cannot be written: {error.strerror or error}; is the disk full?"
        ) from error


def _checked_bytes(path: Path, crc: int) -> bytes:
    content = path.read_bytes()
    if zlib.crc32(content) != crc:
        raise _damaged(path, "has another checksum")
    return content


def _crc(values: np.ndarray) -> int:
    """CRC-32 of an array, a part at a time, so that a memory map is not read into memory."""
    flat, crc = values.reshape(-1), 0
    for start in range(0, len(flat), 1 << 20):
        crc = zlib.crc32(np.ascontiguousarray(flat[start : start + (1 << 20)]).data, crc)
    return crc


def _damaged(path: Path, reason: str) -> DataError:
    return DataError(f"{path} {reason}: the match index is damaged; build it again or copy it back")
