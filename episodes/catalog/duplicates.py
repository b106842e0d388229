"""Duplicate and near-duplicate images, found by fingerprints of 300 bytes."""

import hashlib
from collections import defaultdict
from dataclasses import dataclass

import numpy as np
from PIL import Image
from tqdm import tqdm

from episodes.catalog.catalog import Catalog
from episodes.catalog.letterbox import intensity_range
from episodes.io.pixels import PixelRef
from episodes.io.read import planes_of

SIDE = 16
"""Side of the thumbnail whose 256 differences are compared."""

MAX_BITS = 12
"""Near-duplicates differ in at most this many of the 256 differences."""

MAX_GREY = 0.03
"""Near-duplicates differ by at most this, the mean over the thumbnail, of the grey range."""

_BANDS, _REACH = 16, 8
_STEP = 4  # a smaller rise may be noise on an even ground


@dataclass(frozen=True)
class Pair:
    """Two duplicate or near-duplicate images.

    Attributes:
        first, second: indices in the catalog.
        same: whether every pixel is equal.
    """

    first: int
    second: int
    same: bool


@dataclass(frozen=True)
class Fingerprints:
    """Small fingerprints of images, 300 bytes each.

    Attributes:
        digests: SHA-256 of the pixels of each image.
        thumbnails: uint8 [image side side+1]; 0 and 255 are the ends of the image's grey range.
        flat: bool [image], images of one grey value, which are ignored.
    """

    digests: tuple[bytes, ...]
    thumbnails: np.ndarray
    flat: np.ndarray


def find_duplicates(catalog: Catalog, *, progress: bool = False) -> tuple[Pair, ...]:
    """Compare all images of a catalog; slices of one file are not compared with each other.

    Takes one pass over the pixels and O(n log n) comparisons: among images that share a sixteenth
    of their differences, each is compared with the next eight only, so that each of many copies of
    an image is paired with some of the others.

    Returns:
        Pairs, equal ones first, in the order of the catalog.
    """
    prints = fingerprint_images(catalog, progress=progress)
    source = [sample.image.source for sample in catalog.samples]
    same = {pair: True for pair in _equal_pairs(prints) if source[pair[0]] != source[pair[1]]}
    near = {pair: False for pair in _similar_pairs(prints) if source[pair[0]] != source[pair[1]]}
    pairs = [Pair(*pair, same=equal) for pair, equal in {**near, **same}.items()]
    return tuple(sorted(pairs, key=lambda pair: (not pair.same, pair.first, pair.second)))


def fingerprint_images(catalog: Catalog, *, progress: bool = False) -> Fingerprints:
    """Read every image once and compute its fingerprint."""
    by_source: dict[PixelRef, list[int]] = defaultdict(list)
    for index, sample in enumerate(catalog.samples):
        by_source[sample.image.source].append(index)
    digests = [b""] * len(catalog)
    thumbnails = np.zeros((len(catalog), SIDE, SIDE + 1), np.uint8)
    flat = np.zeros(len(catalog), bool)
    bar = tqdm(by_source.items(), "comparing images", unit="file", disable=not progress)
    for source, indices in bar:
        planes = planes_of(source)
        for index in indices:
            plane = planes[catalog.samples[index].image.plane or 0]
            head = f"{plane.dtype.str} {plane.shape}".encode()
            digests[index] = hashlib.sha256(head + np.ascontiguousarray(plane).tobytes()).digest()
            thumbnails[index] = thumbnail(plane)
            flat[index] = np.ptp(thumbnails[index]) < 8
    return Fingerprints(tuple(digests), thumbnails, flat)


def thumbnail(pixels: np.ndarray) -> np.ndarray:
    """Shrink an image [height width] or [height width 3] to uint8 [side side+1]."""
    grey = pixels.mean(axis=2) if pixels.ndim == 3 else pixels
    low, high = intensity_range(grey)
    scaled = np.clip((grey.astype(np.float32) - low) / max(high - low, 1e-12), 0, 1) * 255
    small = Image.fromarray(scaled).resize((SIDE + 1, SIDE), Image.Resampling.BOX)
    return np.round(np.asarray(small)).astype(np.uint8)


def _equal_pairs(prints: Fingerprints) -> set[tuple[int, int]]:
    """Pair each image with the first one that has the same pixels."""
    first: dict[bytes, int] = {}
    pairs = set()
    for index, digest in enumerate(prints.digests):
        if prints.flat[index]:
            continue
        if first.setdefault(digest, index) != index:
            pairs.add((first[digest], index))
    return pairs


def _similar_pairs(prints: Fingerprints) -> set[tuple[int, int]]:
    """Pair images with nearly the same differences between neighbouring pixels."""
    kept = np.flatnonzero(~prints.flat)
    small = prints.thumbnails[kept].astype(np.int16)
    rises = np.diff(small, axis=2) > _STEP
    bits = np.packbits(rises.reshape(len(kept), SIDE * SIDE), axis=1)
    pairs: set[tuple[int, int]] = set()
    # Two images that differ in at most 12 of 256 bits agree in all bits of one band in sixteen.
    for band in range(_BANDS):
        key = bits[:, 2 * band].astype(np.int64) * 256 + bits[:, 2 * band + 1]
        order = np.argsort(key, kind="stable")
        for step in range(1, min(_REACH, len(kept) - 1) + 1):
            a, b = order[:-step], order[step:]
            a, b = (side[key[a] == key[b]] for side in (a, b))
            distance = np.bitwise_count(bits[a] ^ bits[b]).sum(axis=1)
            a, b = (side[distance <= MAX_BITS] for side in (a, b))
            grey = np.abs(small[a] - small[b]).mean(axis=(1, 2)) <= MAX_GREY * 255
            similar = np.stack([kept[a[grey]], kept[b[grey]]], axis=1)
            pairs |= {(int(m), int(n)) for m, n in np.sort(similar, axis=1).tolist()}
    return pairs
