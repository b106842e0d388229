"""Segmenter: an encoder, a head, and what a user calls: learn from examples, segment the rest."""

import hashlib
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from jaxtyping import Float, UInt8
from scipy import ndimage
from torch import Tensor, nn
from torch.nn import functional

from episodes.catalog import IGNORE
from episodes.episode import to_channels
from episodes.errors import DataError, ModelError
from episodes.frame import Frame, intensity_range, to_tensor
from episodes.legend import Legend, parse_legend
from episodes.sampler import binary_mask
from fewshot.encoder import Encoder, EncoderSettings
from fewshot.heads import Head, HeadSettings, LocalSettings, Support, build_head
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
        self.head: Head = build_head(self.settings.head)
        self.to(default_device())

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
        features, labels = self._shots(pictures, maps, size)
        shot_masks = torch.stack([binary_mask(labels, way) for way in range(1, len(names) + 1)])[
            None
        ]
        with torch.inference_mode():
            shared = features[None, None].expand(1, len(names), *features.shape)
            support = self.head.condense(shared, shot_masks.to(self.device))
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
        for chunk in self._encoded(picture, frame):
            with torch.inference_mode():
                scores = self.head.score(support, chunk[None])[0]
                for logits in scores:
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

    def _shots(
        self, pictures: Sequence[Planes], maps: Sequence[np.ndarray], size: int
    ) -> tuple[Tensor, Tensor]:
        """Encode the annotated planes: features [shot ...] and labels [shot size size]."""
        features, labels = [], []
        for picture, found in zip(pictures, maps, strict=True):
            marked = np.flatnonzero(((found > 0) & (found != IGNORE)).any(axis=(1, 2)))
            if not marked.size:
                continue
            limits = intensity_range(picture.pixels)
            frame = _frame(picture, size)
            features += list(self._encoded(picture, frame, marked.tolist(), limits))
            labels += [frame.fit_labels(torch.from_numpy(found[plane])) for plane in marked]
        if len(labels) > MOST_SHOTS:
            raise DataError(
                f"{len(labels)} annotated planes; expected at most {MOST_SHOTS}. "
                "Leave some out, e.g. every second one"
            )
        return torch.cat(features), torch.stack(labels)

    def _encoded(
        self,
        picture: Planes,
        frame: Frame,
        planes: Sequence[int] | None = None,
        limits: tuple[float, float] | None = None,
    ) -> Iterator[Tensor]:
        """Encode planes in chunks; all of them share the picture's intensity range."""
        limits = limits or intensity_range(picture.pixels)
        wanted = range(len(picture.pixels)) if planes is None else planes
        self.eval()
        for start in range(0, len(wanted), _CHUNK):
            chunk = [
                frame.fit_image(to_tensor(picture.pixels[plane], limits))
                for plane in wanted[start : start + _CHUNK]
            ]
            with torch.inference_mode():
                yield self.encode(torch.stack([to_channels(image, 3) for image in chunk]))


def enlargement(maps: Sequence[np.ndarray], size: int, stride: int) -> int:
    """Say how many times larger images should be compared for their structures to be seen.

    A structure should be two and a half entries of the feature grid wide. Its width is four times
    the median distance of its pixels to its edge, which is exact for a strip.

    Args:
        maps: label maps uint8 [depth height width], 0 background, 255 unknown.
        size: side of the square in which images are compared, in pixels.
        stride: pixels of that square an entry of the feature grid.

    Returns:
        1, 2 or 3; what the class with the thinnest structures needs.
    """
    distances: dict[int, list[np.ndarray]] = {}
    for found in maps:
        scale = size / max(found.shape[1:])
        for plane in found:
            for label in np.unique(plane[(plane > 0) & (plane != IGNORE)]):
                inside = plane == label
                if inside.all():  # no edge: as wide as can be
                    distances.setdefault(int(label), []).append(np.array([float(size)]))
                    continue
                edge = ndimage.distance_transform_edt(np.pad(inside, 1, mode="edge"))[1:-1, 1:-1]
                distances.setdefault(int(label), []).append(edge[inside] * scale)
    width = 4 * min(float(np.median(np.concatenate(values))) for values in distances.values())
    return min(3, math.ceil(2.5 * stride / width))


def _frame(picture: Planes, size: int) -> Frame:
    return Frame(picture.pixels.shape[1], picture.pixels.shape[2], size)


def _listed(items: ImageLike | Sequence[ImageLike]) -> list[ImageLike]:
    return list(items) if isinstance(items, (list, tuple)) else [items]  # type: ignore[list-item]


def _plain(classes: Legend | Sequence[str]) -> object:
    return dict(classes) if isinstance(classes, Mapping) else list(classes)
