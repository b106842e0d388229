"""Backgrounds for the bundled emoji scenes: crops of photographs, and procedural textures."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from bundle_packages import read
from PIL import Image
from scipy import ndimage

# Only photographs that scikit-image states to be CC0 or in the public domain. The box (left, top,
# right, bottom) leaves out lettering and people; None is the whole picture.
PHOTOGRAPHS = {
    "brick.png": None,
    "camera.png": (260, 150, 512, 512),
    "chelsea.png": None,
    "coffee.png": None,
    "coins.png": None,
    "grass.png": None,
    "gravel.png": None,
    "hubble_deep_field.jpg": None,
    "rocket.jpg": (0, 0, 640, 330),
}

DARK = 64  # the least mean brightness of a background, of 255


def load_photographs(packages: Path) -> list[Image.Image]:
    """Read the photographs out of the scikit-image package as RGB pictures."""
    members = {name: f"skimage/data/{name}" for name in PHOTOGRAPHS}
    contents = read(packages, "skimage", members.values())
    photographs = []
    for name, box in PHOTOGRAPHS.items():
        with Image.open(io.BytesIO(contents[members[name]])) as picture:
            photographs.append(picture.convert("RGB").crop(box or (0, 0, *picture.size)))
    return photographs


def make_background(
    photographs: list[Image.Image], size: int, generator: np.random.Generator
) -> np.ndarray:
    """Draw a background: two of three are photographs, the others a texture.

    Args:
        photographs: what to crop from.
        size: height and width in pixels.
        generator: the source of randomness.

    Returns:
        float64 array [size size 3] in 0..255.
    """
    if generator.random() < 2 / 3:
        photograph = photographs[int(generator.integers(len(photographs)))]
        background = _crop(photograph, size, generator)
    else:
        background = _texture(size, generator)
    blur = generator.uniform(0.0, 1.2)
    background = ndimage.gaussian_filter(background, (blur, blur, 0))
    if (mean := background.mean()) < DARK:  # else black objects would vanish
        background = background + DARK - mean
    return np.clip(background * generator.uniform(0.75, 1.2), 0, 255)


def _crop(photograph: Image.Image, size: int, generator: np.random.Generator) -> np.ndarray:
    """Cut a random square, resize it, perhaps mirror it, and tint it when it is grey."""
    side = int(generator.integers(size, min(photograph.size) + 1))
    left = int(generator.integers(photograph.width - side + 1))
    top = int(generator.integers(photograph.height - side + 1))
    box = (left, top, left + side, top + side)
    square = photograph.resize((size, size), Image.Resampling.LANCZOS, box=box)
    pixels = np.asarray(square, np.float64)
    if generator.random() < 0.5:
        pixels = pixels[:, ::-1]
    if np.ptp(pixels, axis=2).max() == 0:
        tint = _colour(generator, saturation=0.2)
        return pixels * (tint / tint.mean())
    return pixels


def _texture(size: int, generator: np.random.Generator) -> np.ndarray:
    """Blend two colours by noise of several scales, either cloudy or as warped stripes."""
    height = sum(_smooth_noise(size, scale, generator) * scale**0.7 for scale in (1, 2, 4, 8, 16))
    if generator.random() < 0.5:
        rows, columns = np.mgrid[:size, :size]
        angle = generator.uniform(0, np.pi)
        along = rows * np.cos(angle) + columns * np.sin(angle)
        height = np.sin(2 * np.pi * along / generator.uniform(8, 24) + 0.12 * height)
    low, high = np.quantile(height, [0.02, 0.98])
    weight = np.clip((height - low) / (high - low), 0, 1)[..., None]
    first, second = (_colour(generator, saturation=0.6) for _ in range(2))
    return first * weight + second * (1 - weight)


def _smooth_noise(size: int, scale: float, generator: np.random.Generator) -> np.ndarray:
    noise = ndimage.gaussian_filter(generator.standard_normal((size, size)), scale, mode="wrap")
    return noise / noise.std()


def _colour(generator: np.random.Generator, saturation: float) -> np.ndarray:
    grey = generator.uniform(60, 200)
    return np.clip(grey + saturation * generator.uniform(-110, 110, 3), 10, 245)
