"""Small pictures of images and their labels, inside of a page."""

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from episodes.catalog.letterbox import intensity_range
from episodes.errors import FewshotError
from episodes.io.axes import Reading
from episodes.io.read import read_image
from fewshot.inference.inputs import image_planes
from fewshot.pipeline.report.markup import escape
from fewshot.plots.overlays import COLOURS, to_rgb

MOST = 20
"""Images that are shown; the others are named."""
_SIDE = 560  # pixels of the longer side
_SMALL = 200  # pixels of a side below which pixels are shown as squares
_NUMBERED = 60  # objects that are numbered at most


@dataclass(frozen=True)
class Shown:
    """One image of a report.

    Attributes:
        row: of the run's summary.
        classes: its rows of the table of classes.
        objects: its rows of the table of objects; none where the pipeline does not measure them.
        notes: what to know of this image.
    """

    row: Mapping[str, Any]
    classes: Sequence[Mapping[str, Any]]
    objects: Sequence[Mapping[str, Any]]
    notes: Sequence[str] = ()


def figure(shown: Shown, out: Path, source: Path | None, reading: Reading) -> str:
    """Draw an image beside its labels, with counts and notes.

    Args:
        shown: what is told of it.
        out: folder of the run.
        source: the image, if it is at hand; its labels are shown alone otherwise.
        reading: how arrays and stacks are read.
    """
    row, name = shown.row, str(shown.row["image"])
    counts = ", ".join(f"{each['count']} {each['class']}" for each in shown.classes)
    pictures = []
    plain = _plain(source, int(row.get("plane", 0)), reading)
    if plain is not None:
        pictures.append(_image(_fitted(plain), f"{name}, the original image"))
    try:
        labels = read_image(out / row["overlay"])
        fitted = _numbered(_fitted(labels), shown, labels.shape)
        pictures.append(_image(fitted, f"{name} with what was found: {counts or 'nothing'}"))
    except FewshotError:  # somebody removed or changed it: the numbers are shown without
        pictures.append('<p class="soft">The overlay is gone.</p>')
    single = " single" if len(pictures) == 1 else ""
    return (
        f'<figure class="picture"><div class="pair{single}">{"".join(pictures)}</div>'
        f"<figcaption>{_caption(shown)}</figcaption></figure>"
    )


def _caption(shown: Shown) -> str:
    row = shown.row
    size = row.get("size", {})
    lengths = [size[axis] for axis in ("depth", "height", "width") if axis in size]
    about = [" \u00d7 ".join(map(str, lengths)) + (" voxels" if len(lengths) > 2 else " pixels")]
    if len(lengths) > 2:
        about.append(f"plane {int(row.get('plane', 0)) + 1} is shown")
    if row.get("expected_dice") is not None:
        about.append(f"expected Dice {row['expected_dice']:.2f}")
    keys = "".join(
        f'<span class="key"><i style="background:{_colour(place)}"></i>'
        f"{escape(each['class'])}: {each['count']:,}</span>"
        for place, each in enumerate(shown.classes)
    )
    notes = "".join(f'<p class="note">{escape(note)}</p>' for note in shown.notes)
    return f"<h3>{escape(row['image'])}</h3><p>{keys}</p><p>{escape(', '.join(about))}</p>{notes}"


def _colour(place: int) -> str:
    red, green, blue = COLOURS[place % len(COLOURS)].tolist()
    return f"rgb({red},{green},{blue})"


def _plain(source: Path | None, plane: int, reading: Reading) -> np.ndarray | None:
    if source is None:
        return None
    try:
        pixels = image_planes(source, reading).pixels
    except FewshotError:  # it was moved since: the labels are shown alone
        return None
    return to_rgb(pixels[min(plane, len(pixels) - 1)], intensity_range(pixels))


def _fitted(pixels: np.ndarray) -> Image.Image:
    """Shrink a large picture, and enlarge a small one by whole squares."""
    picture = Image.fromarray(np.ascontiguousarray(pixels)).convert("RGB")
    longest = max(picture.size)
    if longest > _SIDE:
        scale = _SIDE / longest
        size = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
        return picture.resize(size, Image.Resampling.LANCZOS)
    times = _SIDE // longest
    if longest < _SMALL and times > 1:
        size = (picture.width * times, picture.height * times)
        return picture.resize(size, Image.Resampling.NEAREST)
    return picture


def _numbered(picture: Image.Image, shown: Shown, shape: tuple[int, ...]) -> Image.Image:
    """Write the number of each object of the shown plane at its centre."""
    plane = int(shown.row.get("plane", 0))
    rows = [r for r in shown.objects if r["first_plane"] <= plane < r["end_plane"]]
    if not 1 < len(rows) <= _NUMBERED:
        return picture
    draw = ImageDraw.Draw(picture)
    size = max(11, round(max(picture.size) / 36))
    font = ImageFont.load_default(size)
    for row in rows:
        places = zip((row["column"], row["row"]), picture.size, shape[1::-1], strict=True)
        centre = tuple(
            min(max((place + 0.5) * new / old, size * 0.7), new - size * 0.7)  # never cut off
            for place, new, old in places
        )
        draw.text(
            *(centre, str(row["number"]), "white", font),
            anchor="mm",
            stroke_width=2,
            stroke_fill="black",
        )
    return picture


def _image(picture: Image.Image, alt: str) -> str:
    content = io.BytesIO()
    picture.save(content, "JPEG", quality=85, optimize=True)
    data = base64.b64encode(content.getvalue()).decode("ascii")
    return (
        f'<img src="data:image/jpeg;base64,{data}" alt="{escape(alt)}" '
        f'width="{picture.width}" height="{picture.height}" loading="lazy">'
    )
