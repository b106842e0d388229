"""Segmenter: an encoder, a head, and what a user calls: learn from examples, segment the rest."""

import hashlib
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn
from torch.nn import functional

from episodes.axes import Reading
from episodes.errors import ModelError
from episodes.legend import Legend
from fewshot.calibration import Calibration
from fewshot.confidence import with_masks, witnesses
from fewshot.encoder import Encoder, EncoderSettings
from fewshot.enlargement import enlargement
from fewshot.ensemble import Fuse
from fewshot.heads import (
    CorrelationSettings,
    GradientSettings,
    Head,
    HeadSettings,
    LocalSettings,
    Support,
    build_head,
)
from fewshot.inputs import ImageLike, Planes, image_planes
from fewshot.levels import Level
from fewshot.magnification import annotated
from fewshot.memory import check_memory
from fewshot.precision import autocast, default_device
from fewshot.refine.flip import mirrored
from fewshot.refine.proximity import append_coordinates
from fewshot.refine.settings import RefineSettings
from fewshot.segmentation import Segmentation
from fewshot.shots import Shots, read_shots
from fewshot.square import CHUNK, fit_images, fit_masks


@dataclass(frozen=True)
class SegmenterSettings:
    """What a segmenter is made of.

    Attributes:
        encoder: the backbone.
        head: the metric head.
        size: side of the square in which images are compared, in pixels; larger finds smaller
            structures and takes longer. A multiple of the encoder's coarsest stride.
        coordinates: weight of a position's row and column beside its features (proximity); 0
            leaves them out. See `fewshot.refine.proximity`.
    """

    encoder: EncoderSettings = field(default_factory=EncoderSettings)
    head: HeadSettings = field(default_factory=LocalSettings)
    size: int = 256
    coordinates: float = 0.0


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
        places = (Level(2, self.encoder.stride),) if self._checked_coordinates() else ()
        self.head: Head = build_head(self.settings.head, (*self.encoder.levels, *places))
        self.calibration = Calibration()
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
        mirror: bool = False,
        ignore_affine: bool = False,
        axes: str | None = None,
        channels: Sequence[int] = (),
    ) -> Support:
        """Learn classes from one or several annotated images.

        Args:
            images: paths, arrays [height width], [height width 3], volumes [depth height width],
                or tensors [channel height width]; one, or a list.
            masks: one an image, of its size: 0 and class numbers, black and white (0 and 255),
                or flat colours. Of a volume, the planes with marked pixels are used.
            classes: what the values mean, e.g. `{1: "liver", 255: "unknown"}`; a name alone for
                all non-zero values; by default found out from the values, and refused where
                two people might read them differently (`episodes.mask_values`).
            size: side of the square in which images are compared, in pixels; by default the
                settings' own, or up to three times as much where the marked structures would
                be too small to be seen (`enlargement`).
            mirror: also learn the mirrored images, which `RefineSettings(flip="both")` needs.
            ignore_affine: lay NIfTI masks on their images voxel for voxel; by default their
                affines decide, and a mask that lies elsewhere is refused (`episodes.mask_grid`).
            axes: a letter an axis of arrays and stacks, e.g. "YXC"; by default as their files say.
            channels: which to use, from 0, at most three; by default all.

        Returns:
            The support, for `segment`; it can be saved with `fewshot.saving.save_support`.

        Raises:
            DataError: unreadable files, sizes that differ, masks that do not lie on their images,
                or without foreground.
        """
        reading = Reading(axes, tuple(channels))
        shots = read_shots(images, masks, classes, ignore_affine=ignore_affine, reading=reading)
        return self.learn_shots(shots, size=size, mirror=mirror)

    def learn_shots(
        self, shots: Shots, *, size: int | None = None, mirror: bool = False
    ) -> Support:
        """Learn from annotated images that were read before; see `learn`."""
        size = self.size_for(shots) if size is None else self._checked_size(size)
        planes = sum(len(found) for found in shots.maps)
        check_memory(self.encoder, size, min(CHUNK, planes), self.device)
        masks = fit_masks(shots, size)
        self.eval()
        with torch.inference_mode():
            support = self.condense(fit_images(shots, size), masks.to(self.device))
            if mirror:
                flipped = (mirrored(chunk) for chunk in fit_images(shots, size))
                other = self.condense(flipped, mirrored(masks).to(self.device))
                support = replace(support, mirrored=replace(other, shots={}))
            few = with_masks(support.shots, masks, self.head, self.encoder.stride)
        return replace(
            support,
            class_names=shots.names,
            values=shots.values,
            model=self.fingerprint(),
            size=size,
            shots=few,
            annotated=annotated(shots.pictures, shots.maps),
        )

    def size_for(self, shots: Shots) -> int:
        """Choose the side of the square in which all marked structures can be seen, in pixels."""
        size = self.settings.size
        return self._checked_size(size * enlargement(shots.maps, size, self.encoder.stride))

    def segment(
        self,
        image: ImageLike | Planes,
        support: Support | Sequence[Support],
        refine: RefineSettings | None = None,
        fuse: Fuse = "probabilities",
        *,
        other_magnification: bool = False,
        tiles: bool = False,
        axes: str | None = None,
        channels: Sequence[int] = (),
    ) -> Segmentation:
        """Segment one image, stack or volume, at its own size.

        Args:
            image, axes, channels: as in `learn`.
            support: from `learn`; of several, the answers are fused.
            refine: cues that improve the answer; by default none.
            fuse: how answers of several supports become one, see `fewshot.ensemble`.
            other_magnification: whether the image need not be at the magnification of the
                annotated ones. By default a much larger image, in which structures would vanish, is
                warned of, and what is found in it is marked as no answer.
            tiles: segment a larger image in overlapping parts of the annotated ones' size, see
                `fewshot.tiles`.

        Raises:
            DataError: the image cannot be read.
            ModelError: another segmenter made the support, several supports do not fit together,
                or a cue lacks what it needs.
        """
        from fewshot.answer import answer

        planes = image_planes(image, Reading(axes, tuple(channels)))
        supports = list(support) if isinstance(support, Sequence) else [support]
        refine = refine or RefineSettings()
        if tiles:
            from fewshot.tiles import segment_tiles

            return segment_tiles(self, planes, supports, refine, fuse)
        self.eval()
        with torch.inference_mode():
            return answer(self, planes, supports, refine, fuse, other_magnification)

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
        support = self.head.condense(shared, masks[None])
        return replace(support, shots={"features": features[witnesses(len(features))].half()})

    def look(
        self, support: Support, images: Float[Tensor, "query channel height width"]
    ) -> tuple[
        Float[Tensor, "query label rows columns"],
        Float[Tensor, "query feature rows columns"] | None,
    ]:
        """Score images, and show the features that were compared where there are such."""
        features = self.encode(images)
        return self.head.score(support, features[None])[0], features

    def score(
        self, support: Support, images: Float[Tensor, "query channel height width"]
    ) -> Float[Tensor, "query label rows columns"]:
        """Score images with a condensed support set; logits at feature resolution."""
        return self.look(support, images)[0]

    # -- what training and evaluation call -------------------------------------------------------

    def encode(
        self, images: Float[Tensor, "*set channel height width"]
    ) -> Float[Tensor, "*set feature rows columns"]:
        """Embed a set of images of any leading axes, in the fastest exact enough precision."""
        flat = images.flatten(0, -4) if images.ndim > 4 else images
        with autocast(self.device, training=torch.is_grad_enabled()):
            features = self.encoder(flat.to(self.device))
        features = append_coordinates(features, self.settings.coordinates)
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
        parts: tuple[object, ...] = (encoder.name, encoder.strides, self.settings.head)
        if self.settings.coordinates:  # without them it is what it was before they existed
            parts = (*parts, self.settings.coordinates)
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

    def _checked_coordinates(self) -> float:
        weight = self.settings.coordinates
        if not (math.isfinite(weight) and weight >= 0):
            raise ModelError(f"coordinates is {weight}; expected a weight of at least 0")
        if weight and isinstance(self.settings.head, GradientSettings | CorrelationSettings):
            raise ModelError(
                f"coordinates is {weight}, but {type(self.settings.head).__name__} works on the "
                "encoder's levels, which know no coordinates; set it to 0, or take another head"
            )
        return weight


def build_segmenter(settings: SegmenterSettings) -> Segmenter:
    """Make the kind of segmenter that the head's settings ask for."""
    if isinstance(settings.head, GradientSettings):
        from fewshot.adapt.segmenter import GradientSegmenter

        return GradientSegmenter(settings)
    return Segmenter(settings)
