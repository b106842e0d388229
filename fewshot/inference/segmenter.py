"""Segmenter: what a user calls: learn from annotated images, segment others."""

import warnings
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import torch

from episodes.errors import ModelError
from episodes.io.axes import Reading
from episodes.masks.label_map import LabelMap
from fewshot.inference.inputs import ImageLike, ImageStack, image_planes
from fewshot.inference.instances.predictor import InstancePredictor, LearnedObjects
from fewshot.inference.instances.value import Instances
from fewshot.inference.magnification import annotated_scale
from fewshot.inference.postprocessing.flip_tta import mirrored
from fewshot.inference.postprocessing.settings import PostprocessSettings
from fewshot.inference.predictors.self_configuring import (
    SelfConfigured,
    SelfConfiguringPredictor,
    SelfConfiguringSettings,
)
from fewshot.inference.preprocess import CHUNK, fit_images, fit_masks
from fewshot.inference.query_similarity import with_masks
from fewshot.inference.resolution import upsampling_factor
from fewshot.inference.result import Segmentation
from fewshot.inference.segment_stack import segment_stack
from fewshot.inference.settings import Ensemble, InstanceMethod
from fewshot.inference.support_set import SupportSet, read_support_set
from fewshot.inference.tiles import segment_tiles
from fewshot.memory import check_memory
from fewshot.models.checkpoint import build_network, network_from_pretrained, save_network
from fewshot.models.heads import Support
from fewshot.models.network import FewShotNetwork, NetworkSettings


class Segmenter:
    """Segments new images like the annotated ones it was shown.

    ```
    segmenter = Segmenter()
    support = segmenter.learn("cell.png", "cell_mask.png")
    result = segmenter.segment("another.png", support)
    ```

    Without a network it configures itself by the annotated images
    (`fewshot.inference.predictors.self_configuring`), as `fewshot segment` does; with one, and for
    annotated volumes, features of that network are compared.

    Args:
        network: a trained one, or the settings of a new one, which is put into evaluation mode; by
            default several methods are tried, and a network of the default settings is built where
            one is needed.

    Raises:
        ModelError: the settings do not fit together.
    """

    def __init__(self, network: FewShotNetwork | NetworkSettings | None = None) -> None:
        self._network: FewShotNetwork | None = None
        if network is not None:
            made = network if isinstance(network, FewShotNetwork) else build_network(network)
            self._network = made.eval()
        self.self_configuring = network is None
        self._objects: dict[tuple[SelfConfigured, InstanceMethod], LearnedObjects] = {}

    @property
    def network(self) -> FewShotNetwork:
        """The network, built when it is needed."""
        if self._network is None:
            self._network = build_network(None).eval()
        return self._network

    @staticmethod
    def from_pretrained(name: str | Path) -> "Segmenter":
        """Load a segmenter from a folder, or from a model hub by `owner/name`.

        Raises:
            ModelError: there is no such model, it cannot be downloaded, or it is damaged.
        """
        return Segmenter(network_from_pretrained(name))

    def save_pretrained(self, folder: str | Path) -> Path:
        """Write the network into a folder from which `from_pretrained` loads it."""
        return save_network(self.network, folder)

    def learn(
        self,
        images: ImageLike | Sequence[ImageLike],
        masks: ImageLike | Sequence[ImageLike],
        classes: LabelMap | Sequence[str] | None = None,
        *,
        size: int | None = None,
        mirror: bool = False,
        ignore_affine: bool = False,
        axes: str | None = None,
        channels: Sequence[int] = (),
    ) -> Support | SelfConfigured:
        """Learn classes from one or several annotated images.

        Args:
            images: paths, arrays [height width], [height width 3], volumes [depth height width],
                or tensors [channel height width]; one, or a list.
            masks: one an image, of its size: 0 and class numbers, black and white (0 and 255),
                or flat colours. Of a volume, the planes with marked pixels are used.
            classes: what the values mean, e.g. `{1: "liver", 255: "unknown"}`; a name alone for
                all non-zero values; by default found out from the values, and refused where
                two people might read them differently (`episodes.masks.values`).
            size: side of the square in which images are compared by one network, in pixels; by
                default chosen, see `size_for`.
            mirror: also learn the mirrored images with one network, which
                `PostprocessSettings(flip="both")` needs.
            ignore_affine: lay NIfTI masks on their images voxel for voxel; by default their
                affines decide, and a mask that lies elsewhere is refused (`episodes.io.mask_grid`).
            axes: a letter an axis of arrays and stacks, e.g. "YXC"; by default as their files say.
            channels: which to use, from 0, at most three; by default all.

        Returns:
            The support, for `segment`; that of one network can be saved with
            `fewshot.models.checkpoint.save_support`.

        Raises:
            DataError: unreadable files, sizes that differ, masks that do not lie on their images,
                or without foreground.
        """
        reading = Reading(axes, tuple(channels))
        shots = read_support_set(
            images, masks, classes, ignore_affine=ignore_affine, reading=reading
        )
        volume = any(picture.volume for picture in shots.pictures)
        if self.self_configuring and size is None and not mirror and not volume:
            return SelfConfiguringPredictor().learn(shots)
        return self.learn_shots(shots, size=size, mirror=mirror)

    def learn_shots(
        self, shots: SupportSet, *, size: int | None = None, mirror: bool = False
    ) -> Support:
        """Learn with the network from annotated images that were read before; see `learn`."""
        size = self.size_for(shots) if size is None else self.network.checked_size(size)
        planes = sum(len(found) for found in shots.maps)
        check_memory(self.network.encoder, size, min(CHUNK, planes), self.network.device)
        masks = fit_masks(shots, size)
        self.network.eval()
        with torch.inference_mode():
            support = self.network.encode_support(
                fit_images(shots, size), masks.to(self.network.device)
            )
            if mirror:
                flipped = (mirrored(chunk) for chunk in fit_images(shots, size))
                other = self.network.encode_support(
                    flipped, mirrored(masks).to(self.network.device)
                )
                support = replace(support, mirrored=replace(other, shots={}))
            few = with_masks(support.shots, masks, self.network.head, self.network.encoder.stride)
        return replace(
            support,
            class_names=shots.names,
            values=shots.values,
            model=self.network.fingerprint(),
            size=size,
            shots=few,
            annotated=annotated_scale(shots.pictures, shots.maps),
        )

    def size_for(self, shots: SupportSet) -> int:
        """Choose the side of the square in which all marked structures can be seen, in pixels.

        It is the settings' own, or up to three times as much where the marked structures would be
        too small to be seen (`upsampling_factor`). A network that was loaded from a folder keeps
        the size at which it was trained, and thin structures are told.
        """
        size = self.network.settings.size
        factor = upsampling_factor(shots.maps, size, self.network.encoder.stride)
        larger = self.network.checked_size(size * factor)
        if larger == size or not self.network.from_folder:
            return larger
        warnings.warn(
            f"the marked structures are thin at the {size} pixels at which the model was trained; "
            f"if it misses them, try size {larger}",
            stacklevel=2,
        )
        return size

    def segment(
        self,
        image: ImageLike | ImageStack,
        support: Support | SelfConfigured | Sequence[Support],
        postprocess: PostprocessSettings | None = None,
        fuse: Ensemble = "probabilities",
        *,
        other_magnification: bool = False,
        tiles: bool = False,
        axes: str | None = None,
        channels: Sequence[int] = (),
    ) -> Segmentation:
        """Segment one image, stack or volume, at its own size.

        Args:
            image, axes, channels: as in `learn`.
            support: from `learn`; of several of one network, the answers are fused.
            postprocess: cues that improve the answer; by default none.
            fuse: how answers of several supports become one, see `fewshot.inference.ensemble`.
            other_magnification: whether the image need not be at the magnification of the
                annotated ones. By default a much larger image, in which structures would vanish, is
                warned of, and what is found in it is marked as no answer.
            tiles: segment a larger image in overlapping parts of the annotated ones' size, see
                `fewshot.inference.tiles`; what configured itself does so where it is needed.

        Raises:
            DataError: the image cannot be read.
            ModelError: another segmenter made the support, several supports do not fit together,
                or a cue lacks what it needs.
        """
        planes = image_planes(image, Reading(axes, tuple(channels)))
        postprocess = postprocess or PostprocessSettings()
        if isinstance(support, SelfConfigured):
            chosen = SelfConfiguringSettings(postprocess)
            return SelfConfiguringPredictor(None, chosen).segment(planes, support)
        supports = list(support) if isinstance(support, Sequence) else [support]
        if tiles:
            return segment_tiles(self.network, planes, supports, postprocess, fuse)
        self.network.eval()
        with torch.inference_mode():
            return segment_stack(
                self.network, planes, supports, postprocess, fuse, other_magnification
            )

    def instances(
        self,
        image: ImageLike | ImageStack,
        support: SelfConfigured,
        method: InstanceMethod = "auto",
    ) -> Instances:
        """Segment an image and number its objects.

        How objects are told apart is chosen at the first image: by the annotated objects where the
        masks number them, else by the connected parts of the masks.

        Args:
            image: see `segment`.
            support: of `learn`, without a network.
            method: how touching objects are split, see
                `fewshot.inference.instances.splitting`; "auto" takes what is best on the annotated
                objects.

        Raises:
            DataError: the image cannot be read, or the masks number no objects and borders or
                seeds are to be learned from them.
            ModelError: a network's support, whose annotated images are not kept; use
                `fewshot.inference.instances.predictor.InstancePredictor`.
        """
        shots = getattr(support, "shots", None)
        if not isinstance(support, SelfConfigured) or shots is None:
            raise ModelError(
                "this support keeps no annotated images, by which objects are told apart; learn "
                "with an InstancePredictor of fewshot.inference.instances.predictor"
            )
        maker = InstancePredictor(SelfConfiguringPredictor(), method)
        if (support, method) not in self._objects:
            self._objects[support, method] = maker.learn(shots, support)
        return maker.instances(image_planes(image), self._objects[support, method])

    def segment_all(
        self, images: Iterable[ImageLike], support: Support | SelfConfigured
    ) -> Iterator[Segmentation]:
        """Segment many images one after another."""
        return (self.segment(image, support) for image in images)
