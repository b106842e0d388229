"""NumPy arrays of pictures and masks.

    data.npz with the arrays images and masks         several files are several subjects' pictures
    case_1.npz with the arrays image and label        any of the words that folders may have
    set.npz with train_images, train_label, …         what precedes the word tells parts apart
    images.npy  masks.npy

Images are [item height width] or [item height width channel] (1 or 3 channels), masks
[item height width]; an array of two axes is one item. Each item is a subject by default.
Only numbers are read: arrays of Python objects are refused.
"""

from pathlib import Path

import numpy as np

from episodes.catalog.catalog import Catalog, Sample
from episodes.errors import DataError
from episodes.io.formats.npy import names_of, read_npy, read_shape
from episodes.io.limits import guarded
from episodes.io.pixels import MaskRef, PixelRef
from episodes.masks.label_map import LabelMap, read_label_map
from episodes.readers import naming


def recognises(root: Path) -> bool:
    """Whether NumPy files lie in the folder."""
    return any(True for _ in root.glob("*.npz")) or bool(_single(root, naming.IMAGE_WORDS))


def read(
    root: Path, *, subject_pattern: str | None = None, label_map: LabelMap | None = None
) -> Catalog:
    """Read the arrays' headers; each item is a sample.

    Args:
        root: the folder of the files.
        subject_pattern: searched in e.g. `case_1/images/17`.
        label_map: what mask values mean; by default from classes.json, or found out from them.

    Raises:
        DataError: a header is damaged, an array has other axes, or images and masks differ.
    """
    label_map = read_label_map(root) if label_map is None else label_map
    samples: list[Sample] = []
    for path in sorted(root.glob("*.npz")):
        names = names_of(path)
        for image in (name for name in names if _word(name) in naming.IMAGE_WORDS):
            part = image.removesuffix(_word(image))
            masks = [part + word for word in naming.MASK_WORDS if part + word in names]
            mask = (path, masks[0]) if masks else None
            samples += _items(root, (path, image), mask, subject_pattern, label_map)
    images, masks_file = _single(root, naming.IMAGE_WORDS), _single(root, naming.MASK_WORDS)
    if images:
        mask = (masks_file, "") if masks_file else None
        samples += _items(root, (images, ""), mask, subject_pattern, label_map)
    return naming.catalog_of(root, samples)


def read_item(path: Path, member: str) -> np.ndarray:
    """Read one item; `member` is `name/number`, with an empty name for .npy files.

    Raises:
        DataError: the file is damaged, holds objects, or is larger than the limits.
    """
    name, _, number = member.rpartition("/")
    with guarded(path, "NumPy array"):
        array = read_npy(path, name, path.stat().st_mtime_ns)
        item = np.array(array if array.ndim == 2 else array[int(number)])  # not the file's own
        return item[..., 0] if item.ndim == 3 and item.shape[2] == 1 else item[None]


def _items(
    root: Path,
    images: tuple[Path, str],
    masks: tuple[Path, str] | None,
    subject_pattern: str | None,
    label_map: LabelMap | None,
) -> list[Sample]:
    shape = _shape(*images)
    if masks and _shape(*masks)[:3] != shape[:3]:
        raise DataError(
            f"masks in {masks[0]} have the shape {_shape(*masks)} and images {shape}; expected "
            "the same items, height and width"
        )
    sources = [images] if masks is None else [images, masks]
    samples = []
    for number in range(shape[0]):
        key = f"{images[0].relative_to(root).as_posix()}/{images[1]}/{number}"
        refs = [PixelRef(p, None, read_item, f"{n}/{number}") for p, n in sources]
        samples.append(
            Sample(
                key=key,
                image=refs[0],
                masks=tuple(MaskRef(ref, label_map) for ref in refs[1:]),
                subject=naming.subject_of(key, subject_pattern),
                size=(shape[1], shape[2]),
            )
        )
    return samples


def _shape(path: Path, name: str) -> tuple[int, ...]:
    """Read an array's shape as [item height width ...] from its header."""
    with guarded(path, "NumPy array"):
        shape = read_shape(path, name)
    shape = (1, *shape) if len(shape) == 2 else shape
    if len(shape) not in (3, 4) or (len(shape) == 4 and shape[3] not in (1, 3)):
        raise DataError(
            f"{path} {name} has the shape {shape}; expected [item height width] or "
            "[item height width channel] with 1 or 3 channels"
        )
    first, middle, last = shape[:3]
    if len(shape) == 3 and last < min(first, middle) and (first == middle or last <= 4):
        raise DataError(
            f"{path} {name} has the shape {shape}, which is one picture with its channels or "
            f"planes last, or {first} items of {middle} x {last} pixels; save it as "
            "[item height width channel], e.g. "
            f"(1, {first}, {middle}, {last}) or ({first}, {middle}, {last}, 1)"
        )
    return shape


def _word(name: str) -> str:
    return name.rpartition("_")[2].lower()


def _single(root: Path, words: tuple[str, ...]) -> Path | None:
    return next((root / f"{w}.npy" for w in words if (root / f"{w}.npy").is_file()), None)
