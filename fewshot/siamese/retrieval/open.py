"""Make or open a match index by its place: a folder, or the address of a Milvus server."""

import re
from pathlib import Path

from episodes.errors import DataError
from fewshot.siamese.retrieval.folder_index import FolderIndex
from fewshot.siamese.retrieval.index import Index, Row
from fewshot.siamese.retrieval.ranking import Distance


def create_index(
    uri: Path | str, dim: int, *, distance: Distance = "cosine", metadata: Row | None = None
) -> Index:
    """Make an empty index.

    Args:
        uri: a folder; or Milvus by `http://host:port`, or a file ending in `.db` for Milvus Lite;
            `#name` at the end names the collection.
        dim: length of the embeddings.
        distance: "cosine" or "euclidean".
        metadata: kept with it.

    Raises:
        DataError: there is one already, or it cannot be written, or an optional package is missing.
    """
    if dim < 1 or distance not in ("cosine", "euclidean"):
        raise DataError(f"dim is {dim}, distance {distance!r}; expected 1 or more, and a known one")
    if is_milvus(uri):
        from fewshot.siamese.retrieval.milvus_index import MilvusIndex

        return MilvusIndex.create(str(uri), dim, distance, dict(metadata or {}))
    return FolderIndex.create(Path(uri), dim, distance, dict(metadata or {}))


def open_index(uri: Path | str) -> Index:
    """Open an index that `create_index` made.

    Raises:
        DataError: there is none, or it is damaged, or an optional package is missing.
    """
    if is_milvus(uri):
        from fewshot.siamese.retrieval.milvus_index import MilvusIndex

        return MilvusIndex(str(uri))
    return FolderIndex(Path(uri))


def is_milvus(uri: Path | str) -> bool:
    """Whether an address is that of Milvus.

    >>> [is_milvus(uri) for uri in ("a/b", "b.db", "b.db#scans", "https://host:19530")]
    [False, True, True, True]
    """
    return bool(re.match(r"(https?|tcp|unix)://", str(uri)) or re.search(r"\.db(#|$)", str(uri)))
