"""Which mask belongs to which image, by their names: the one place where that is decided.

Names are compared without their endings, in any case and any form of Unicode. The same name comes
first; then the mask's name without a word for masks (`a_mask`, `gt_a`); then both without any such
word (`img_01` and `mask_01`, `image` and `label`). A mask that fits several images, and an image
that several masks fit, are refused: nothing is guessed.
"""

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np

from episodes.errors import DataError, shorten
from episodes.io.read import read_planes, stem
from episodes.readers import naming
from episodes.readers.file_finder import normalise_name

_LETTER = r"[^\W\d_]"
_SEPARATORS = r"[_\-. ]"


def _words(words: Sequence[str]) -> re.Pattern[str]:
    listed = "|".join(words).replace("groundtruth", f"ground{_SEPARATORS}?truth")
    return re.compile(rf"(?:(?<!{_LETTER})|{_SEPARATORS})(?:{listed})(?!{_LETTER})")


_MASK = _words(naming.MASK_WORDS)
_IMAGE = _words(naming.IMAGE_WORDS)
_ANY = _words(naming.IMAGE_WORDS + naming.MASK_WORDS)
_PREDICTED = _words(
    (*naming.IMAGE_WORDS, *naming.MASK_WORDS, "predictions", "prediction", "preds", "pred")
)
_NUMBER = re.compile(rf"{_SEPARATORS}?\(?\d{{1,3}}\)?$")


def is_mask_name(name: str) -> bool:
    """Whether a word for masks stands in a name.

    >>> [is_mask_name(name) for name in ("a_mask", "GT-7", "seg_1", "unmasked", "gtx")]
    [True, True, True, False, False]
    """
    return bool(_MASK.search(normalise_name(Path(name).name)))


def match_masks(truth: Iterable[str], predictions: Iterable[str]) -> dict[str, str]:
    """Map the names of predicted masks to the names of the true ones.

    Args:
        truth: names without endings, perhaps with the folders before them, which have to agree.
        predictions: the same; words for images, masks and predictions count on neither side.

    Returns:
        The predictions that have a true mask.

    Raises:
        DataError: a prediction fits several true masks, or a true mask several predictions.

    >>> match_masks(["gt_01", "label_2"], ["01_pred", "image_2", "3"])
    {'01_pred': 'gt_01', 'image_2': 'label_2'}
    """
    return match(truth, predictions, _BARE_LEVELS, ("true mask", "prediction"))


def match(
    images: Iterable[str],
    masks: Iterable[str],
    levels: "Levels | None" = None,
    kinds: tuple[str, str] = ("image", "mask"),
) -> dict[str, str]:
    """Map the names of masks to the names of their images.

    Args:
        images: names without endings, perhaps with the folders before them, which have to agree.
        masks: the same.
        levels: what names are compared by, the surest first; by default those of image and mask.
        kinds: what the two are called in messages.

    Returns:
        The masks that have an image.

    Raises:
        DataError: a mask fits several images, or an image several masks.

    >>> match(["img_01", "IMG_02", "other"], ["mask_01", "img_02_gt", "mask_03"])
    {'mask_01': 'img_01', 'img_02_gt': 'IMG_02'}
    """
    images, masks = list(images), list(masks)
    kind, other = kinds
    known = set(images)
    found = {mask: mask for mask in masks if mask in known}
    of_image: dict[str, str] = {image: image for image in found}
    for image_key, mask_keys in levels or _LEVELS:
        places: dict[str, list[str]] = defaultdict(list)
        for image in images:
            places[image_key(image)].append(image)
        for mask in (mask for mask in masks if mask not in found):
            fits = dict.fromkeys(image for key in mask_keys(mask) for image in places.get(key, ()))
            if len(fits) > 1:
                raise DataError(
                    f"the {other} {mask!r} fits the {kind}s {shorten(map(repr, fits))}; expected "
                    f"one: rename the {other} or one of these"
                )
            for image in fits:
                if image in of_image:
                    raise DataError(
                        f"the {kind} {image!r} has two {other}s, {of_image[image]!r} and "
                        f"{mask!r}; expected one: join them in one file (class or object "
                        "numbers), or move one away"
                    )
                found[mask], of_image[image] = image, mask
    return {mask: found[mask] for mask in masks if mask in found}


def separate_masks(names: Sequence[str]) -> tuple[dict[str, str], list[str]]:
    """Separate masks from images among names in one folder.

    Args:
        names: paths without endings.

    Returns:
        Masks with their images, and names of masks to which no image belongs. All others are
        images.

    Raises:
        DataError: see `match`.

    >>> separate_masks(["a", "a_mask", "b_gt", "c"])
    ({'a_mask': 'a'}, ['b_gt'])
    """
    there = {normalise_name(name) for name in names}
    cores = {_core(name) for name in names if not is_mask_name(name)}
    called = [name for name in names if is_mask_name(name)]
    # label_free_1 is an image where there is label_free_1_mask.
    bases = {key for name in called for key in _without_one(name) if key in there}
    masks: list[str] = []
    stray: list[str] = []
    for name in called:
        extends = there & {*_without_one(name), *_without_number(name)}
        if normalise_name(name) in bases and not extends:
            continue
        (masks if extends or cores & set(_without_all(name)) else stray).append(name)
    found = match([name for name in names if name not in {*masks, *stray}], masks)
    return found, stray + [mask for mask in masks if mask not in found]


def pairs(root: Path, accepts: Callable[[Path], bool]) -> tuple[dict[str, Path], dict[str, Path]]:
    """Map names to images and to masks: two folders, or one where a word distinguishes them.

    Args:
        root: holds an image folder and a mask folder, or the files themselves.
        accepts: which files are meant.

    Returns:
        The images and the masks; partners have the same name.

    Raises:
        DataError: two files have one name.
    """
    image_folder = naming.subfolder(root, naming.IMAGE_WORDS)
    mask_folder = naming.subfolder(root, naming.MASK_WORDS)
    images: dict[str, Path] = {}
    masks: dict[str, Path] = {}
    if image_folder and any(map(accepts, image_folder.iterdir())):
        for path in naming.list_files(image_folder):
            # nnU-Net numbers the channels of an image: case_0000 belongs to the label case.
            _add(images, re.sub(r"_0000$", "", stem(path)), path)
        for path in naming.list_files(mask_folder) if mask_folder else ():
            _add(masks, stem(path), path)
        partner = match(images, masks)
        return images, {partner.get(name, name): path for name, path in masks.items()}
    for path in sorted(p for p in root.iterdir() if accepts(p) and not naming.is_hidden(p)):
        # image.nii and label.nii, called nothing else, are one pair.
        name = _trim(_ANY.sub("", normalise_name(stem(path)))) or "volume"
        _add(masks if is_mask_name(stem(path)) else images, name, path)
    return images, masks


def looks_like_mask(path: Path, unreadable: bool = True) -> bool:
    """Whether a picture is made of flat areas of few values, as masks are and photographs are not.

    Used where names alone leave a doubt.

    Args:
        path: the picture.
        unreadable: the answer for a file that cannot be read, or of one value alone.
    """
    try:
        pixels = read_planes(path)[0]
    except DataError:
        return unreadable
    flat = pixels.reshape(*pixels.shape[:2], -1)
    same = (flat[:, 1:] == flat[:, :-1]).all(axis=2)
    share = float(same.mean()) if same.size else 1.0
    values = np.unique(flat.reshape(-1, flat.shape[2]), axis=0)
    if len(values) == 1:
        return unreadable
    return share >= 0.95 or (len(values) <= 64 and share >= 0.7)


def _same(name: str) -> list[str]:
    return [normalise_name(name)]


def _without_one(name: str) -> list[str]:
    """The name without its last, and without its first word for masks."""
    head, last = _split(name)
    found = list(_MASK.finditer(last))
    keys = [_trim(last[: word.start()] + last[word.end() :]) for word in found[-1:] + found[:1]]
    return list(dict.fromkeys(head + key for key in keys if key))


def _without_number(name: str) -> list[str]:
    """The name before its last word for masks where but a number follows: that of a second mask."""
    head, last = _split(name)
    found = list(_MASK.finditer(last))
    if not found or not _NUMBER.fullmatch(last[found[-1].end() :]):
        return []
    key = _trim(last[: found[-1].start()])
    return [head + key] if key else []


def _without_all(name: str) -> list[str]:
    head, last = _split(name)
    return [head + _trim(_ANY.sub("", last))]


def _core(name: str) -> str:
    """The name of an image without the words for images."""
    head, last = _split(name)
    return head + _trim(_IMAGE.sub("", last))


def _bare(name: str) -> str:
    """The name without any word for images, masks and predictions."""
    head, last = _split(name)
    return head + _trim(_PREDICTED.sub("", last))


Levels = tuple[tuple[Callable[[str], str], Callable[[str], list[str]]], ...]
_BARE_LEVELS: Levels = ((normalise_name, _same), (_bare, lambda name: [_bare(name)]))
_LEVELS: Levels = (
    (normalise_name, _same),
    (normalise_name, _without_one),
    (_core, _without_all),
    (normalise_name, _without_number),
)
"""What names of images and of masks are compared by, the surest first."""


def _split(name: str) -> tuple[str, str]:
    head, slash, last = normalise_name(name).rpartition("/")
    return head + slash, last


def _trim(name: str) -> str:
    return re.sub(rf"^{_SEPARATORS}+|{_SEPARATORS}+$", "", name)


def _add(found: dict[str, Path], name: str, path: Path) -> None:
    if name in found:
        raise DataError(
            f"{found[name].name} and {path.name} in {path.parent} are both called {name!r} once "
            "the words for image and mask are taken away; expected one of each"
        )
    found[name] = path
