"""Images that are stored twice, as they are or nearly, found by small fingerprints of each."""

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

MOST_BITS = 12
"""Near-duplicates differ in at most so many of the 256 differences."""

MOST_GREY = 0.03
"""Near-duplicates differ by at most this, the mean over the thumbnail, of the grey range."""

_BANDS, _REACH = 16, 8
_STEP = 4  # a smaller rise may be noise on an even ground


@dataclass(frozen=True)
class Pair:
    """Two images that look alike.

    Attributes:
        first, second: places in the catalog.
        same: whether every pixel is equal; else nearly so.
    """

    first: int
    second: int
    same: bool


@dataclass(frozen=True)
class Looks:
    """Small fingerprints of images, 300 bytes each.

    Attributes:
        digests: SHA-256 of the pixels, one an image.
        thumbnails: uint8 [image side side+1]; 0 and 255 are the ends of the image's grey range.
        flat: bool [image], images of one grey, which are left out.
    """

    digests: tuple[bytes, ...]
    thumbnails: np.ndarray
    flat: np.ndarray


def find_duplicates(catalog: Catalog, *, progress: bool = False) -> tuple[Pair, ...]:
    """Compare all images of a catalog; slices of one file are not compared with each other.

    Takes one pass over the pixels, and no longer than n log n comparisons after it: among images
    that share a sixteenth of their differences, each is compared with the next eight only, so of
    many copies of one image each is paired with some of the others.

    Returns:
        Pairs, equal ones first, in the order of the catalog.
    """
    looks = look(catalog, progress=progress)
    source = [sample.image.source for sample in catalog.samples]
    same = {pair: True for pair in _equal(looks) if source[pair[0]] != source[pair[1]]}
    near = {pair: False for pair in _alike(looks) if source[pair[0]] != source[pair[1]]}
    pairs = [Pair(*pair, same=equal) for pair, equal in {**near, **same}.items()]
    return tuple(sorted(pairs, key=lambda pair: (not pair.same, pair.first, pair.second)))


def look(catalog: Catalog, *, progress: bool = False) -> Looks:
    """Read every image once and keep a fingerprint of it."""
    places: dict[PixelRef, list[int]] = defaultdict(list)
    for place, sample in enumerate(catalog.samples):
        places[sample.image.source].append(place)
    digests = [b""] * len(catalog)
    thumbnails = np.zeros((len(catalog), SIDE, SIDE + 1), np.uint8)
    flat = np.zeros(len(catalog), bool)
    for source, held in tqdm(places.items(), "comparing images", unit="file", disable=not progress):
        planes = planes_of(source)
        for place in held:
            plane = planes[catalog.samples[place].image.plane or 0]
            head = f"{plane.dtype.str} {plane.shape}".encode()
            digests[place] = hashlib.sha256(head + np.ascontiguousarray(plane).tobytes()).digest()
            thumbnails[place] = thumbnail(plane)
            flat[place] = np.ptp(thumbnails[place]) < 8
    return Looks(tuple(digests), thumbnails, flat)


def thumbnail(pixels: np.ndarray) -> np.ndarray:
    """Shrink an image [height width] or [height width 3] to uint8 [side side+1]."""
    grey = pixels.mean(axis=2) if pixels.ndim == 3 else pixels
    low, high = intensity_range(grey)
    scaled = np.clip((grey.astype(np.float32) - low) / max(high - low, 1e-12), 0, 1) * 255
    small = Image.fromarray(scaled).resize((SIDE + 1, SIDE), Image.Resampling.BOX)
    return np.round(np.asarray(small)).astype(np.uint8)


def _equal(looks: Looks) -> set[tuple[int, int]]:
    """Pair each image with the first one that has the same pixels."""
    first: dict[bytes, int] = {}
    pairs = set()
    for place, digest in enumerate(looks.digests):
        if looks.flat[place]:
            continue
        if first.setdefault(digest, place) != place:
            pairs.add((first[digest], place))
    return pairs


def _alike(looks: Looks) -> set[tuple[int, int]]:
    """Pair images with nearly the same differences between neighbouring places."""
    kept = np.flatnonzero(~looks.flat)
    small = looks.thumbnails[kept].astype(np.int16)
    rises = np.diff(small, axis=2) > _STEP
    bits = np.packbits(rises.reshape(len(kept), SIDE * SIDE), axis=1)
    pairs: set[tuple[int, int]] = set()
    # Two images that differ in at most 12 of 256 bits agree in all bits of one band in sixteen.
    for band in range(_BANDS):
        key = bits[:, 2 * band].astype(np.int64) * 256 + bits[:, 2 * band + 1]
        order = np.argsort(key, kind="stable")
        for step in range(1, min(_REACH, len(kept) - 1) + 1):
            one, other = order[:-step], order[step:]
            one, other = (side[key[one] == key[other]] for side in (one, other))
            apart = np.bitwise_count(bits[one] ^ bits[other]).sum(axis=1)
            one, other = (side[apart <= MOST_BITS] for side in (one, other))
            grey = np.abs(small[one] - small[other]).mean(axis=(1, 2)) <= MOST_GREY * 255
            found = np.stack([kept[one[grey]], kept[other[grey]]], axis=1)
            pairs |= {(int(a), int(b)) for a, b in np.sort(found, axis=1).tolist()}
    return pairs
