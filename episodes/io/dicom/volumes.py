"""From the planes of DICOM series to volumes: copies left out, echoes and time points apart.

Planes of a series that differ in size, direction, pixel spacing or kind of picture are volumes of
their own, and so are other echoes, b-values and kinds of image. Where planes still lie at the same
place, the tags of `dicom_tags.TAGS` are looked at until one tells them apart; where none does, the
series is refused. A volume is named by its series and by the values that tell it apart, so that its
name does not depend on what else lies in the folder.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations
from pathlib import Path

import numpy as np

from episodes.errors import DataError, shorten
from episodes.io.dicom.planes import Plane
from episodes.io.dicom.spacing import spacing_notes
from episodes.io.dicom.tags import CONTRASTS, TAGS, TIMES

SamePixels = Callable[[Plane, Plane], bool]
Groups = dict[tuple[str, ...], list[Plane]]


@dataclass
class Series:
    """A volume while it is put together.

    Attributes:
        uid: the series instance UID.
        patient: the PatientID.
        planes: its planes, in order.
        name: the series and what distinguishes the volume from others in it.
        masks: segmentation, member for `read_segment`, and label of each segment.
    """

    uid: str
    patient: str
    planes: list[Plane] = field(default_factory=list)
    name: str = ""
    masks: list[tuple[Path, str, str]] = field(default_factory=list)


def volumes_of(series: Series, same_pixels: SamePixels) -> tuple[list[Series], list[str]]:
    """Split a series into volumes whose planes are in order.

    Args:
        series: all planes of one series.
        same_pixels: whether two planes hold the same values; called only for suspected copies.

    Returns:
        The volumes, and notes on slices that were dropped, separated, or are missing.

    Raises:
        DataError: planes contradict each other, or lie at the same place without a difference.
    """
    about = f"series {series.uid}"
    planes, copies = _without_copies(series, same_pixels)
    parts: list[tuple[dict[str, str], list[Plane]]] = []
    for values, part in _by_picture(planes):
        for more, group in _by_contrast(part):
            again, resolved = _apart(group, about, same_pixels)
            copies += again
            parts += [({**values, **more, **last}, found) for last, found in resolved]
    notes = [f"{about}: {copies} copies of slices are left out"] if copies else []
    tags = list(dict.fromkeys(tag for values, _ in parts for tag in values))
    if len(parts) > 1:
        notes.append(f"{about} holds {len(parts)} volumes, told apart by {', '.join(tags)}")
    volumes = []
    for values, part in parts:
        name = ".".join([series.uid, *(f"{tag}={_plain(values[tag])}" for tag in values)])
        part.sort(key=lambda plane: (plane.height or 0.0, plane.order, plane.file))
        notes += spacing_notes(part, name)
        volumes.append(replace(series, planes=part, name=name, masks=[]))
    return volumes, notes


def _without_copies(series: Series, same_pixels: SamePixels) -> tuple[list[Plane], int]:
    """Leave out planes whose SOP instance UID was there before.

    Raises:
        DataError: the pixels of two planes of one UID differ.
    """
    seen: dict[tuple[str, int | None], Plane] = {}
    for plane in sorted(series.planes, key=lambda plane: plane.file):
        first = seen.setdefault((plane.uid, plane.frame), plane)
        if first is not plane and not same_pixels(first, plane):
            raise DataError(
                f"{first.file} and {plane.file} have the same SOPInstanceUID {plane.uid} and other "
                "pixels; take one of them out of the folder"
            )
    return list(seen.values()), len(series.planes) - len(seen)


def _by_picture(planes: list[Plane]) -> Iterator[tuple[dict[str, str], list[Plane]]]:
    """Group planes that fit into one array: equal in size, direction, spacing and kind."""
    groups: list[list[Plane]] = []
    for plane in planes:
        for group in groups:
            if _alike(group[0], plane):
                group.append(plane)
                break
        else:
            groups.append([plane])
    words = [_words(group[0]) for group in groups]
    tags = [tag for tag in words[0] if len({each[tag] for each in words}) > 1]
    told = Counter(tuple(each[tag] for tag in tags) for each in words)
    for each, group in zip(words, groups, strict=True):
        values = {tag: each[tag] for tag in tags}
        if told[tuple(values.values())] > 1:  # two oblique stacks are both nearly axial
            values["Orientation"] = _text(group[0].orientation)
        yield values, group


def _alike(one: Plane, other: Plane) -> bool:
    def near(a: tuple[float, ...] | None, b: tuple[float, ...] | None, tolerance: float) -> bool:
        if a is None or b is None:
            return a is b
        return bool(np.allclose(a, b, rtol=tolerance, atol=tolerance * 0.1 * max(map(abs, a))))

    same = (one.size, one.photometric) == (other.size, other.photometric)
    turned = one.orientation, other.orientation
    straight = None in turned or bool(np.abs(np.subtract(*turned)).max() <= 2e-3)  # type: ignore[arg-type]
    both = (one.orientation is None) == (other.orientation is None)
    return same and both and straight and near(one.spacing, other.spacing, 1e-3)


def _words(plane: Plane) -> dict[str, str]:
    view = "none"
    if plane.orientation is not None:
        normal = np.cross(plane.orientation[:3], plane.orientation[3:])
        view = ("sagittal", "coronal", "axial")[int(np.abs(normal).argmax())]
    return {
        "Size": f"{plane.size[0]}x{plane.size[1]}",
        "View": view,
        "PixelSpacing": _text(plane.spacing),
        "PhotometricInterpretation": plane.photometric,
    }


def _by_contrast(planes: list[Plane]) -> list[tuple[dict[str, str], list[Plane]]]:
    """Split by tags whose other value is another volume, unless nearly every plane has its own."""
    parts: list[tuple[dict[str, str], list[Plane]]] = [({}, planes)]
    for tag in CONTRASTS:
        finer = []
        for values, part in parts:
            groups = _grouped(part, (tag,))
            apart = 1 < len(groups) <= len(part) / 2
            finer += (
                [({**values, tag: key[0]}, g) for key, g in groups.items()]
                if apart
                else [(values, part)]
            )
        parts = finer
    return parts


def _apart(
    planes: list[Plane], about: str, same_pixels: SamePixels
) -> tuple[int, list[tuple[dict[str, str], list[Plane]]]]:
    """Split planes of which several lie at the same place.

    Returns:
        The number of copies that were dropped, and the parts with their distinguishing tags.

    Raises:
        DataError: no tag distinguishes them.
    """
    places = _places(planes)
    most = max(map(len, places))
    if most == 1:
        return 0, [({}, planes)]
    told = _told_apart(planes, places)
    if told is not None:
        return 0, [(dict(zip(told[0], key, strict=True)), part) for key, part in told[1].items()]
    if all(same_pixels(place[0], other) for place in places for other in place[1:]):
        return len(planes) - len(places), [({}, [place[0] for place in places])]
    if len(places) == 1:
        return 0, [({}, planes)]  # one position repeated: in the order of their numbers
    clash = next(place for place in places if len(place) > 1)
    raise DataError(
        f"{about}: {shorten(plane.file for plane in clash)} lie at the same place "
        f"{clash[0].position}, hold other pixels, and none of the tags looked at tells them apart: "
        f"{', '.join(TAGS)}. Sort them into folders of one volume each"
    )


def _told_apart(
    planes: list[Plane], places: list[list[Plane]]
) -> tuple[tuple[str, ...], Groups] | None:
    """Find the tag, or two, that leave one plane at each place: with as few volumes as can be."""
    most = max(map(len, places))
    varying = [tag for tag in TAGS if len(_grouped(planes, (tag,))) > 1]
    single = [(tag,) for tag in varying]
    for tags in single:
        groups = _grouped(planes, tags)
        if len(groups) == most and _unique(groups):
            return tags, groups
    for tag in TIMES:
        ranked = _ranked(places, tag)
        if ranked is not None:
            return (tag,), ranked
    pairs = list(combinations(varying, 2))
    for both in pairs:
        groups = _grouped(planes, both)
        if len(groups) == most and _unique(groups):
            return both, groups
    for some in (*single, *pairs):
        groups = _grouped(planes, some)  # some volumes lack slices
        if len(groups) <= len(planes) / 2 and _unique(groups):
            return some, groups
    return None


def _places(planes: list[Plane]) -> list[list[Plane]]:
    """Group planes that lie at the same height; those without a place lie apart from all others."""
    placed = sorted((p for p in planes if p.height is not None), key=lambda p: p.height or 0.0)
    found = [[plane] for plane in planes if plane.height is None]
    last = -np.inf
    for plane in placed:
        tolerance = 0.01 * min(plane.spacing or (1.0,))
        if (plane.height or 0.0) - last > tolerance:
            found.append([])
        last = plane.height or 0.0
        found[-1].append(plane)
    return found


def _grouped(planes: list[Plane], tags: Sequence[str]) -> Groups:
    """Group planes by the values of tags, in the order of the values."""
    found: dict[tuple[str, ...], list[Plane]] = defaultdict(list)
    for plane in planes:
        found[tuple(plane.mark(tag) for tag in tags)].append(plane)
    return dict(sorted(found.items(), key=lambda pair: [_number_first(v) for v in pair[0]]))


def _unique(groups: Groups) -> bool:
    return all(len(place) == 1 for group in groups.values() for place in _places(group))


def _ranked(places: list[list[Plane]], tag: str) -> Groups | None:
    """Group planes by the rank of a time among those at the same place; None where it has none."""
    if len({len(place) for place in places}) > 1:
        return None
    found: dict[tuple[str, ...], list[Plane]] = defaultdict(list)
    for place in places:
        times = {_number_first(plane.mark(tag)): plane for plane in place if plane.mark(tag)}
        if len(times) < len(place):
            return None
        for rank, key in enumerate(sorted(times), start=1):
            found[(f"number {rank}",)].append(times[key])
    return dict(found)


def _number_first(text: str) -> tuple[float, str]:
    try:
        return float(text), text
    except ValueError:
        return np.inf, text


def _text(numbers: tuple[float, ...] | None) -> str:
    return "none" if numbers is None else "x".join(f"{round(n, 3):g}" for n in numbers)


def _plain(value: str) -> str:
    """Make a value fit into a name."""
    kept = "".join(c if c.isalnum() or c in "-+.," else "_" for c in value)
    return kept or "none"
