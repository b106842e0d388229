"""Scenes composed on the spot from the bundled emoji: many classes with exact masks, in colour.

The objects are cut out of the bundled scenes and laid on generated textures, turned, scaled and
lit anew, so that the few hundred stored pictures give episodes without end.
"""

import json
import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image
from scipy import ndimage
from torch import Tensor

from episodes import bundled
from episodes.augmentation.random_fields import smooth_noise, white_noise
from episodes.errors import EpisodeError, shorten
from episodes.io.read import read_image, read_labels
from episodes.sampling.episode import Episode, Plan
from episodes.sampling.sampler import episode_generator
from episodes.sampling.superpixel_sampler import assemble

_DRAW = 23  # stream of the generator
_TRIES = 20
_SIDES = (0.24, 0.48)  # of an object, as shares of the scene's side
_TURN = 25.0  # degrees to either side
_HIDDEN = 0.35  # largest part of an object that may lie under others


@dataclass(frozen=True)
class EmojiSettings:
    """Settings of an episode of composed scenes.

    Attributes:
        way: classes an episode.
        shot: annotated scenes a class.
        query: scenes to segment; query q shows at least class q modulo way.
        size: side of the scenes, in pixels.
        objects: in each scene; those of other classes are background.
        other_design: whether the queries are drawn in another design than the support.
    """

    way: int = 1
    shot: int = 1
    query: int = 1
    size: int = 128
    objects: int = 3
    other_design: bool = False

    def __post_init__(self) -> None:
        for name in ("way", "shot", "query", "objects"):
            if getattr(self, name) < 1:
                raise EpisodeError(f"{name} is {getattr(self, name)}; expected at least 1")
        if self.objects > 8:
            raise EpisodeError(f"objects is {self.objects}; expected at most 8, or they overlap")
        if not 64 <= self.size <= 1024:
            raise EpisodeError(f"size is {self.size} pixels; expected 64 to 1024")


@dataclass(frozen=True)
class CutOut:
    """One object of a bundled scene: its colours with its mask as alpha, and its design."""

    picture: Image.Image
    design: str


class EmojiSampler:
    """Composes episodes; a pure function of (settings, classes, seed, i).

    Args:
        settings: ways, shots, queries, size.
        seed: a whole number from 0 to 2**64 - 1.
        classes: which may be drawn, as classes and as other objects; by default the bundled
            base classes, so that the novel ones stay unseen.

    Raises:
        EpisodeError: a class is unknown, or there are too few.
    """

    def __init__(
        self,
        settings: EmojiSettings | None = None,
        seed: int = 0,
        classes: Sequence[str] | None = None,
    ) -> None:
        self.settings, self.seed = settings or EmojiSettings(), seed
        episode_generator(seed, 0, _DRAW)  # raises on a seed out of range
        split = json.loads((bundled.path("emoji") / "split.json").read_text(encoding="utf-8"))
        known = [*split["base"], *split["novel"]]
        self.classes = tuple(split["base"] if classes is None else dict.fromkeys(classes))
        unknown = [name for name in self.classes if name not in known]
        if unknown:
            raise EpisodeError(f"no emoji {shorten(unknown)}; there are {shorten(known, 20)}")
        need = max(self.settings.way, self.settings.objects) + 1
        if len(self.classes) < need:
            raise EpisodeError(f"{len(self.classes)} classes of emoji; expected at least {need}")
        self._objects = cut_outs(set(self.classes))
        self._designs = sorted({each.design for row in self._objects.values() for each in row})

    def episode(self, index: int) -> Episode:
        """Compose episode `index`.

        Raises:
            EpisodeError: the objects found no room.
        """
        settings, generator = self.settings, episode_generator(self.seed, index, _DRAW)
        order = generator.permutation(len(self.classes))[: settings.way]
        names = [self.classes[i] for i in order]
        first, second = generator.permutation(self._designs)[:2].tolist()
        designs = (first, second) if settings.other_design else (None, None)
        support = [
            [self._scene(names, way, designs[0], generator) for _ in range(settings.shot)]
            for way in range(settings.way)
        ]
        queries = [
            self._scene(names, q % settings.way, designs[1], generator)
            for q in range(settings.query)
        ]
        key = f"emoji/{self.seed}/{index}"
        query_keys = tuple(f"{key}/query{q}" for q in range(settings.query))
        plan = Plan(
            index,
            tuple(names),
            tuple(
                tuple(f"{key}/support{way}.{shot}" for shot in range(settings.shot))
                for way in range(settings.way)
            ),
            query_keys,
            query_keys,
        )
        return assemble(support, queries, plan)

    __getitem__ = episode

    def _scene(
        self, names: list[str], way: int, design: str | None, generator: np.random.Generator
    ) -> tuple[Tensor, Tensor]:
        """Compose a scene that shows class `way`; the other objects are of any class."""
        others = [name for name in self.classes if name != names[way]]
        drawn = generator.permutation(len(others))[: self.settings.objects - 1]
        shown = [*(others[i] for i in drawn), names[way]]  # what has to be there lies on top
        # Half of the other objects are of the episode's classes, where it has several.
        rivals = [name for name in names if name != names[way]]
        for place in range(min(len(rivals), len(drawn))):
            if rivals[place] not in shown and generator.random() < 0.5:
                shown[place] = rivals[place]
        objects = [self._object(name, design, generator) for name in shown]
        numbers = [names.index(name) + 1 if name in names else 0 for name in shown]
        return _compose(objects, numbers, self.settings.size, generator)

    def _object(self, name: str, design: str | None, generator: np.random.Generator) -> Image.Image:
        found = [each for each in self._objects[name] if design in (None, each.design)]
        found = found or self._objects[name]  # a class that lacks this design
        return found[int(generator.integers(len(found)))].picture


def cut_outs(classes: set[str]) -> dict[str, list[CutOut]]:
    """Cut the objects of some classes out of the bundled scenes, which name them in their files."""
    root = bundled.path("emoji")
    label_map = json.loads((root / "classes.json").read_text(encoding="utf-8"))
    found: dict[str, list[CutOut]] = defaultdict(list)
    for path in sorted((root / "masks").iterdir()):
        (labels,) = read_labels(path)
        values = [int(v) for v in np.unique(labels) if label_map.get(str(v)) in classes]
        if not values:
            continue
        image = read_image(root / "images" / f"{path.stem}.jpg")
        for value in values:
            mask = labels == value
            (box,) = ndimage.find_objects(mask.astype(np.uint8))
            pixels = np.dstack([image[box], mask[box] * np.uint8(255)])
            design = path.stem.split("_")[1]
            found[label_map[str(value)]].append(CutOut(Image.fromarray(pixels), design))
    return dict(found)


def _compose(
    objects: list[Image.Image], numbers: list[int], size: int, generator: np.random.Generator
) -> tuple[Tensor, Tensor]:
    """Compose objects on a texture: image float32 [3 size size], labels uint8 [size size]."""
    for _ in range(_TRIES):
        layers = [_lay(each, size, generator) for each in objects]
        solid = np.stack([alpha > 0.5 for _, alpha in layers])
        above: np.ndarray = np.cumsum(solid[::-1], axis=0)[::-1] - solid
        visible, whole = (solid & (above == 0)).sum(axis=(1, 2)), solid.sum(axis=(1, 2))
        if (visible >= (1 - _HIDDEN) * whole).all():
            break
    else:
        raise EpisodeError(f"{len(objects)} objects do not fit; choose fewer per scene")
    image, labels = _texture(size, generator), np.zeros((size, size), np.uint8)
    for (colour, alpha), number in zip(layers, numbers, strict=True):
        # Pixels half outside show the scene they were cut from: they are left out.
        weight = torch.from_numpy(np.clip(2 * alpha - 1, 0, 1))
        image.lerp_(torch.from_numpy(colour), weight)
        labels[alpha > 0.5] = number
    noise = generator.uniform(0.005, 0.03) * white_noise(generator, (3, size, size))
    return (image + noise).clamp_(0, 1), torch.from_numpy(labels)


def _lay(
    picture: Image.Image, size: int, generator: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Turn, scale, light and move an object: colour [3 size size] and alpha [size size] in 0..1."""
    side = generator.uniform(*_SIDES) * size
    turned = picture.rotate(
        generator.uniform(-_TURN, _TURN), Image.Resampling.BILINEAR, expand=True
    )
    factor = side / max(turned.size)
    shape = [max(1, round(length * factor)) for length in turned.size]
    small = turned.resize(shape, Image.Resampling.BILINEAR)
    layer = Image.new("RGBA", (size, size))
    left, top = (int(generator.integers(size - length + 1)) for length in shape)
    layer.paste(small, (left, top))
    pixels = np.asarray(layer, np.float32).transpose(2, 0, 1) / 255
    light, gamma = generator.uniform(0.8, 1.15), generator.uniform(0.8, 1.25)
    colour = np.zeros_like(pixels[:3])
    box = (slice(None), slice(top, top + shape[1]), slice(left, left + shape[0]))
    colour[box] = np.clip(pixels[:3][box] ** gamma * light, 0, 1)
    return colour, pixels[3]


def _texture(size: int, generator: np.random.Generator) -> Tensor:
    """Blend two colours by clouds of several scales, or by bent stripes: [3 size size]."""
    scales = size / 128 * np.array([1.0, 2, 4, 8, 16])
    weights = scales ** generator.uniform(0.3, 1.0)
    weights /= np.sqrt((weights**2).sum())
    height = torch.zeros(size, size)
    for scale, weight in zip(scales.tolist(), weights.tolist(), strict=True):
        height += weight * smooth_noise(generator, (size, size), scale)[0]
    if generator.random() < 0.4:
        angle, places = generator.uniform(0, math.pi), torch.arange(size)
        along = places[:, None] * math.cos(angle) + places * math.sin(angle)
        period = generator.uniform(8, 24) * size / 128
        height = 1.5 * torch.sin(2 * math.pi / period * along + height)
    blend = (0.5 + 0.25 * height).clamp_(0, 1)
    grey = generator.uniform(0.25, 0.75, (2, 1))
    colours = (grey + generator.uniform(-0.3, 0.3, (2, 3))).clip(0.05, 0.95)
    first, second = torch.from_numpy(colours.astype(np.float32))[..., None, None]
    return second + blend * (first - second)
