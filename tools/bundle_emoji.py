"""The bundled emoji: scenes of three objects on a background, with exact masks of many classes."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from bundle_backgrounds import load_photographs, make_background
from bundle_emoji_classes import BASE, CLASSES, DESIGNS, NOVEL
from bundle_files import write_jpeg, write_json, write_png
from bundle_packages import read
from PIL import Image
from scipy import ndimage

SEED = 20240229
SIZE = 128  # pixels a side
OBJECTS = 3  # a scene
SCENES = {"base": 2, "novel": 3}  # scenes of every class in every design
SIDES = (28, 60)  # pixels of the longer side of an object
TURN = 25  # degrees to either side
HIDDEN = 0.05  # the largest part of an object that may lie under another or outside
CONTRAST = 45  # the least root mean square difference of an object from what it covers, of 255
TRIES = 1000


def make_emoji(packages: Path, folder: Path) -> None:
    """Write all scenes, the class names and the split into ``folder``."""
    photographs = load_photographs(packages)
    objects = {design: _load_design(packages, design) for design in DESIGNS}
    numbers = {name: number for number, name in enumerate(CLASSES, start=1)}
    for name in ("images", "masks"):
        (folder / name).mkdir()
    for index, (split, design, names) in enumerate(_plan()):
        generator = np.random.Generator(np.random.Philox(key=[SEED, index]))
        chosen = [(numbers[name], objects[design][name]) for name in names]
        image, mask = _compose(photographs, chosen, generator)
        stem = f"{split}_{design}_{index:03d}"
        write_jpeg(folder / "images" / f"{stem}.jpg", image)
        write_png(folder / "masks" / f"{stem}.png", mask)
    write_json(folder / "classes.json", {str(number): name for name, number in numbers.items()})
    write_json(folder / "split.json", {"base": BASE, "novel": NOVEL})


def _plan() -> Iterator[tuple[str, str, list[str]]]:
    """Yield split, design and class names of every scene; each class comes up equally often."""
    generator = np.random.Generator(np.random.Philox(key=[SEED, 1 << 32]))
    for split, names in (("base", BASE), ("novel", NOVEL)):
        for design in DESIGNS:
            for _ in range(SCENES[split]):
                order = [names[index] for index in generator.permutation(len(names))]
                for start in range(0, len(order), OBJECTS):
                    yield split, design, order[start : start + OBJECTS]


def _load_design(packages: Path, design: str) -> dict[str, Image.Image]:
    """Read one design's picture of every class as RGBA, cropped to what is visible."""
    members = {name: DESIGNS[design].format(point) for name, point in CLASSES.items()}
    contents = read(packages, design, members.values())
    pictures = {}
    for name, member in members.items():
        with Image.open(io.BytesIO(contents[member])) as opened:
            picture = opened.convert("RGBA")
        visible = picture.getchannel("A").point(lambda alpha: 255 * (alpha > 127))
        pictures[name] = picture.crop(visible.getbbox())
    return pictures


Layer = tuple[np.ndarray, np.ndarray, int]


def _compose(
    photographs: list[Image.Image],
    chosen: list[tuple[int, Image.Image]],
    generator: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray]:
    """Lay the objects on a background; return the uint8 image and the class mask."""
    for _ in range(TRIES):
        image = make_background(photographs, SIZE, generator)
        layers = _arrange(image, [picture for _, picture in chosen], generator)
        if layers:
            break
    else:
        raise RuntimeError(f"no scene in {TRIES} tries; lower CONTRAST or make the objects smaller")
    mask = np.zeros((SIZE, SIZE), np.uint8)
    for (number, _), (colour, alpha, _) in zip(chosen, layers, strict=True):
        image = image * (1 - alpha[..., None]) + colour * alpha[..., None]
        mask[alpha > 0.5] = number
    blur = generator.uniform(0.0, 0.6)
    image = ndimage.gaussian_filter(image, (blur, blur, 0))
    image = image + generator.normal(0, generator.uniform(1, 6), image.shape)
    return np.clip(image.round(), 0, 255).astype(np.uint8), mask


def _arrange(
    background: np.ndarray, pictures: list[Image.Image], generator: np.random.Generator
) -> list[Layer]:
    """Find places where every object is visible enough; an empty list where none was found."""
    for _ in range(TRIES // 10):
        layers = [_place(picture, generator) for picture in pictures]
        solid = np.stack([alpha > 0.5 for _, alpha, _ in layers])
        above = np.cumsum(solid[::-1], axis=0)[::-1] - solid
        visible = (solid & (above == 0)).sum(axis=(1, 2))
        whole = np.array([area for _, _, area in layers])
        if (visible >= (1 - HIDDEN) * whole).all() and all(
            _contrast(background, colour, alpha) >= CONTRAST for colour, alpha, _ in layers
        ):
            return layers
    return []


def _contrast(background: np.ndarray, colour: np.ndarray, alpha: np.ndarray) -> float:
    difference = (colour - background)[alpha > 0.5]
    return float(np.sqrt((difference**2).mean()))


def _place(picture: Image.Image, generator: np.random.Generator) -> Layer:
    """Turn, scale and move one object.

    Returns:
        Its colour [SIZE SIZE 3] in 0..255, its alpha [SIZE SIZE] in 0..1, and the number of its
        solid pixels had none been outside the scene.
    """
    angle = generator.uniform(-TURN, TURN)
    turned = picture.rotate(angle, Image.Resampling.BICUBIC, expand=True)
    factor = generator.uniform(*SIDES) / max(picture.size)
    shape = [max(1, round(side * factor)) for side in turned.size]
    small = turned.resize(shape, Image.Resampling.LANCZOS)
    whole = int((np.asarray(small.getchannel("A")) > 127).sum())
    layer = Image.new("RGBA", (SIZE, SIZE))
    left, top = (int(generator.integers(-2, SIZE + 3 - side)) for side in shape)
    layer.paste(small, (left, top))
    pixels = np.asarray(layer, np.float64)
    light, gamma = generator.uniform(0.8, 1.15), generator.uniform(0.8, 1.25)
    colour = np.clip((pixels[..., :3] / 255) ** gamma * light, 0, 1) * 255
    return colour, pixels[..., 3] / 255, whole
