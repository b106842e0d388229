"""Segmenter: an encoder, a head, and what a user calls: learn from examples, segment the rest."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn
from torch.nn import functional

from episodes.catalog import IGNORE
from episodes.episode import to_channels
from episodes.errors import DataError, ModelError
from episodes.frame import Frame, intensity_range, to_tensor
from episodes.legend import Legend, parse_legend
from episodes.sampler import binary_mask
from fewshot.encoder import Encoder, EncoderSettings
from fewshot.enlargement import enlargement
from fewshot.heads import (
    GradientSettings,
    Head,
    HeadSettings,
    LocalSettings,
    Support,
    build_head,
)
from fewshot.inputs import ImageLike, Planes, image_planes, mask_planes, settle_masks
from fewshot.precision import autocast, default_device
from fewshot.segmentation import Segmentation

MOST_SHOTS = 512
"""More support planes than this are refused rather than thinned out in silence."""
_CHUNK = 8  # planes that are encoded at once


@dataclass(frozen=True)
class SegmenterSettings:
    """What a segmenter is made of.

    Attributes:
        encoder: the backbone.
        head: the metric head.
        size: side of the square in which images are compared, in pixels; larger finds smaller
            structures and takes longer. A multiple of the encoder's coarsest stride.
    """

    encoder: EncoderSettings = field(default_factory=EncoderSettings)
    head: HeadSettings = field(default_factory=LocalSettings)
    size: int = 256


class Segmenter(nn.Module):
    """Segments new images like the annotated ones it was shown.

    ```
    segmenter = Segmenter()
    support = segmenter.learn("cell.png", "cell_mask.png")
    result = segmenter.segment("another.png", support)
    ```

    Raises:
        ModelError: the settings do not fit together.
    """

    def __init__(self, settings: SegmenterSettings | None = None) -> None:
        super().__init__()
        self.settings = settings or SegmenterSettings()
        self._checked_size(self.settings.size)
        self.encoder = Encoder(self.settings.encoder)
        self.head: Head = build_head(self.settings.head, self.encoder.levels)
        self.to(default_device())

    @staticmethod
    def from_pretrained(name: str | Path) -> "Segmenter":
        """Load a segmenter from a folder, or from a model hub by `owner/name`.

        Raises:
            ModelError: there is no such model, it cannot be downloaded, or it is damaged.
        """
        from fewshot.saving import from_pretrained

        return from_pretrained(name)

    def save_pretrained(self, folder: str | Path) -> Path:
        """Write the segmenter into a folder from which `from_pretrained` loads it."""
        from fewshot.saving import save_segmenter

        return save_segmenter(self, folder)

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return next(self.parameters()).device

    # -- what a user calls -----------------------------------------------------------------------

    def learn(
        self,
        images: ImageLike | Sequence[ImageLike],
        masks: ImageLike | Sequence[ImageLike],
        classes: Legend | Sequence[str] | None = None,
        *,
        size: int | None = None,
    ) -> Support:
        """Learn classes from one or several annotated images.

        Args:
            images: paths, arrays [height width], [height width 3], volumes [depth height width],
                or tensors [channel height width]; one, or a list.
            masks: one an image, of its size: 0 background, 1..254 classes, 255 unknown; or
                black and white (0 and 255). Of a volume, the planes with marked pixels are used.
            classes: what the values mean, e.g. `{1: "liver"}`; a name alone for all non-zero
                values; by default found out from the values.
            size: side of the square in which images are compared, in pixels; by default the
                settings' own, or up to three times as much where the marked structures would
                be too small to be seen (`enlargement`).

        Returns:
            The support, for `segment`; it can be saved with `fewshot.saving.save_support`.

        Raises:
            DataError: unreadable files, sizes that differ, masks without foreground.
        """
        pictures = [image_planes(image) for image in _listed(images)]
        drawings = [mask_planes(mask) for mask in _listed(masks)]
        legend: Legend | None = None
        if classes is not None:
            legend = classes if isinstance(classes, str) else parse_legend(_plain(classes))
        maps, names, values = settle_masks(pictures, drawings, legend)
        if size is None:
            size = self.settings.size * enlargement(maps, self.settings.size, self.encoder.stride)
        size = self._checked_size(size)
        labels = self._marked_labels(pictures, maps, size)
        shot_masks = torch.stack([binary_mask(labels, way) for way in range(1, len(names) + 1)])
        self.eval()
        with torch.inference_mode():
            support = self.condense(
                self._marked_planes(pictures, maps, size), shot_masks.to(self.device)
            )
        return replace(
            support, class_names=names, values=values, model=self.fingerprint(), size=size
        )

    def segment(self, image: ImageLike, support: Support) -> Segmentation:
        """Segment one image, stack or volume, at its own size.

        Raises:
            DataError: the image cannot be read.
            ModelError: another segmenter made the support.
        """
        if support.model and support.model != self.fingerprint():
            raise ModelError(
                "another model made this support, so their features cannot be compared; "
                "learn it again with the segmenter in use"
            )
        picture = image_planes(image)
        frame = _frame(picture, support.size or self.settings.size)
        labels, probabilities = [], []
        self.eval()
        for chunk in _framed(picture, frame, range(len(picture.pixels))):
            with torch.inference_mode():
                for logits in self.score(support, chunk):
                    shares = frame.undo(logits).softmax(dim=0)
                    labels.append(shares.argmax(dim=0).to(torch.uint8).cpu().numpy())
                    probabilities.append(shares.half().cpu().numpy())
        return Segmentation(
            labels=np.stack(labels),
            probabilities=np.stack(probabilities, axis=1),
            class_names=support.class_names,
            values=support.values,
            source=picture,
        )

    def segment_all(self, images: Iterable[ImageLike], support: Support) -> Iterator[Segmentation]:
        """Segment many images one after another."""
        return (self.segment(image, support) for image in images)

    # -- what another kind of segmenter replaces -------------------------------------------------

    def condense(
        self,
        chunks: Iterable[Float[Tensor, "chunk channel height width"]],
        masks: UInt8[Tensor, "way shot height width"],
    ) -> Support:
        """Condense one support set, whose images come in chunks that together are the shots."""
        features = torch.cat([self.encode(chunk) for chunk in chunks])
        shared = features[None, None].expand(1, len(masks), *features.shape)
        return self.head.condense(shared, masks[None])

    def score(
        self, support: Support, images: Float[Tensor, "query channel height width"]
    ) -> Float[Tensor, "query label rows columns"]:
        """Score images with a condensed support set; logits at feature resolution."""
        return self.head.score(support, self.encode(images)[None])[0]

    # -- what training and evaluation call -------------------------------------------------------

    def encode(
        self, images: Float[Tensor, "*set channel height width"]
    ) -> Float[Tensor, "*set feature rows columns"]:
        """Embed a set of images of any leading axes, in the fastest exact enough precision."""
        flat = images.flatten(0, -4) if images.ndim > 4 else images
        with autocast(self.device, training=torch.is_grad_enabled()):
            features = self.encoder(flat.to(self.device))
        return features.unflatten(0, images.shape[:-3])

    def forward(
        self,
        support_images: Float[Tensor, "batch way shot channel height width"],
        support_masks: UInt8[Tensor, "batch way shot height width"],
        query_images: Float[Tensor, "batch query channel height width"],
    ) -> Float[Tensor, "batch query label height width"]:
        """Segment the queries of a batch of episodes; logits at image resolution."""
        support = self.head.condense(self.encode(support_images), support_masks.to(self.device))
        logits = self.head.score(support, self.encode(query_images))
        full = functional.interpolate(
            logits.flatten(0, 1),
            size=query_images.shape[-2:],
            mode="bilinear",
            align_corners=False,
        )
        return full.unflatten(0, logits.shape[:2])

    def fingerprint(self) -> str:
        """Hash what features depend on: supports of one model fit no other.

        Where the weights came from and the size of the images play no part.
        """
        encoder = self.settings.encoder
        parts = (encoder.name, encoder.strides, self.settings.head)
        digest = hashlib.sha256(repr(parts).encode())
        for name, tensor in self.state_dict().items():
            digest.update(name.encode())
            digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
        return digest.hexdigest()[:16]

    # -- inside ----------------------------------------------------------------------------------

    def _checked_size(self, size: int) -> int:
        coarsest = max(self.settings.encoder.strides)
        if size < 32 or size % coarsest:
            raise ModelError(
                f"size is {size}; expected a multiple of {coarsest} of at least 32 pixels"
            )
        return size

    def _marked_labels(
        self, pictures: Sequence[Planes], maps: Sequence[np.ndarray], size: int
    ) -> Tensor:
        """Fit the label maps of the annotated planes into the square: [shot size size]."""
        labels = [
            _frame(picture, size).fit_labels(torch.from_numpy(found[plane]))
            for picture, found in zip(pictures, maps, strict=True)
            for plane in _marked(found)
        ]
        if len(labels) > MOST_SHOTS:
            raise DataError(
                f"{len(labels)} annotated planes; expected at most {MOST_SHOTS}. "
                "Leave some out, e.g. every second one"
            )
        return torch.stack(labels)

    def _marked_planes(
        self, pictures: Sequence[Planes], maps: Sequence[np.ndarray], size: int
    ) -> Iterator[Tensor]:
        """Fit the annotated planes themselves into the square, in chunks."""
        for picture, found in zip(pictures, maps, strict=True):
            yield from _framed(picture, _frame(picture, size), _marked(found))


def build_segmenter(settings: SegmenterSettings) -> Segmenter:
    """Make the kind of segmenter that the head's settings ask for."""
    if isinstance(settings.head, GradientSettings):
        from fewshot.adapt.segmenter import GradientSegmenter

        return GradientSegmenter(settings)
    return Segmenter(settings)


def _framed(picture: Planes, frame: Frame, planes: Sequence[int]) -> Iterator[Tensor]:
    """Fit planes into the square, in chunks; all of them share the picture's intensity range."""
    limits = intensity_range(picture.pixels)
    for start in range(0, len(planes), _CHUNK):
        chunk = [
            frame.fit_image(to_tensor(picture.pixels[plane], limits))
            for plane in planes[start : start + _CHUNK]
        ]
        yield torch.stack([to_channels(image, 3) for image in chunk])


def _marked(found: np.ndarray) -> list[int]:
    """List the planes of label maps [depth height width] in which anything is marked."""
    return np.flatnonzero(((found > 0) & (found != IGNORE)).any(axis=(1, 2))).tolist()


def _frame(picture: Planes, size: int) -> Frame:
    return Frame(picture.pixels.shape[1], picture.pixels.shape[2], size)


def _listed(items: ImageLike | Sequence[ImageLike]) -> list[ImageLike]:
    return list(items) if isinstance(items, (list, tuple)) else [items]  # type: ignore[list-item]


def _plain(classes: Legend | Sequence[str]) -> object:
    return dict(classes) if isinstance(classes, Mapping) else list(classes)
