"""`fewshot match segment`: every image is segmented with the annotated one that fits it best."""

from collections import defaultdict
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from tqdm import tqdm

from episodes.catalog.catalog import Sample
from episodes.catalog.letterbox import Frame, intensity_range, to_tensor
from episodes.catalog.loader import Loader
from episodes.errors import DataError
from episodes.io.pixels import IGNORE
from episodes.sampling.episode import to_channels
from episodes.sampling.sampler import binary_mask
from fewshot.archive.batch import Batch, nothing_left, refuse_inside
from fewshot.archive.ledger import model_files, settings_hash
from fewshot.archive.queries import list_queries
from fewshot.cli.gallery_values import class_values
from fewshot.cli.match_options import MatchSegment
from fewshot.evaluation.confusion_counts import Truth
from fewshot.evaluation.retrieved_support_predictor import Pooled, cosine_distances
from fewshot.experiments.split import open_catalog
from fewshot.inference.inputs import Planes, image_planes
from fewshot.inference.magnification import TooLargeError
from fewshot.inference.postprocessing.pipeline import Scored, refine
from fewshot.inference.postprocessing.settings import RefineSettings
from fewshot.inference.preprocess import inside_of
from fewshot.inference.query_similarity import Trust, with_masks
from fewshot.inference.resolution import structure_width
from fewshot.inference.result import Segmentation
from fewshot.inference.segment_stack import too_large
from fewshot.inference.segmenter import Segmenter
from fewshot.inference.volumes.local_matching import complete
from fewshot.inference.volumes.registered_volumes import shares_of
from fewshot.inference.volumes.registration import register
from fewshot.inference.volumes.segment_volume import segment_volume
from fewshot.inference.volumes.slice_alignment import Scale, align
from fewshot.inference.volumes.slice_assignment import choose, monotone_path
from fewshot.inference.volumes.slice_position import pyramid, rising
from fewshot.models.checkpoint import load_network
from fewshot.models.heads import Support
from fewshot.models.scale import AnnotatedScale

_SUPPORTS, _VOLUMES = 256, 4  # condensed supports, and volumes whose features are remembered
WHOLE = RefineSettings(
    smooth="walker",
    walker_length=12.0,
    walker_contrast=3.0,
    walker_across=2.0,
    threshold=0.4,
    keep="largest",
)
"""How answers for volumes are refined, unless told otherwise."""


@dataclass(frozen=True)
class Chosen:
    """The supports of every plane of a query: keys [plane][top], and their costs [plane]."""

    keys: list[list[str]]
    costs: list[float]


class Gallery:
    """Annotated images to choose supports from.

    Args:
        samples: with masks, in the order of their volumes.
        classes: of their catalog.
        values: the number of each class in masks.
        truth: of their catalog.
        segmenter: whose features are compared.
    """

    def __init__(
        self,
        samples: list[Sample],
        classes: tuple[str, ...],
        values: tuple[int, ...],
        truth: Truth,
        segmenter: Segmenter,
    ) -> None:
        self.classes, self.values, self.segmenter = classes, values, segmenter
        self._samples = {sample.key: sample for sample in samples}
        self._loader = Loader(segmenter.network.settings.size)
        self._pooled = Pooled(truth, segmenter.network)
        self.volumes: dict[Path, list[str]] = defaultdict(list)
        for sample in samples:
            self.volumes[sample.image.path].append(sample.key)
        self.support = lru_cache(_SUPPORTS)(self._condense)
        self._maps = lru_cache(_VOLUMES)(self._encode)

    @property
    def whole(self) -> list[tuple[str, ...]]:
        """Keys of the slices of every annotated volume."""
        return [tuple(keys) for keys in self.volumes.values() if len(keys) > 1]

    def lay_over(
        self, features: Float[Tensor, "plane channel rows columns"], command: MatchSegment
    ) -> tuple[Chosen, Float[Tensor, "plane label rows columns"]]:
        """Lay a query volume over the annotated ones that fit it best, and segment it with them.

        Returns:
            The slice of each volume on which each plane lies, and log-probabilities.
        """
        pooled = pyramid(features).cpu().numpy()
        tables = [self._ordered_costs(pooled, keys, command.weight) for keys in self.whole]
        rows = np.arange(len(pooled))
        fits = [float(table[rows, monotone_path(table)].mean()) for table in tables]
        order = np.argsort(fits, kind="stable")[: command.top]
        named, shares = [], []
        for keys in (self.whole[number] for number in order):
            support = self._maps(keys)
            places = register(features, support)
            found = [
                segment_volume(features, support, covered, places)[:, 1]
                for covered in self._covered(keys, command.annotated)
            ]
            logits = torch.stack([torch.zeros_like(found[0]), *found], dim=1)
            shares.append(self.segmenter.network.calibration(logits).softmax(dim=1))
            heights = rising(places[:, 0].mean(dim=(1, 2)).cpu().numpy())
            named.append([keys[z] for z in heights.round().clip(0, len(keys) - 1).astype(int)])
        chosen = Chosen([list(row) for row in zip(*named, strict=True)], [min(fits)] * len(pooled))
        return chosen, torch.stack(shares).mean(dim=0).clamp(min=1e-6).log()

    def _covered(
        self, keys: tuple[str, ...], annotated: str
    ) -> list[Float[Tensor, "plane rows columns"]]:
        """Which share of every position each class covers, in all slices of a volume."""
        samples = [self._samples[key] for key in keys]
        labels = torch.stack([self._loader.labels(sample, self.classes) for sample in samples])
        features = self._maps(keys)
        found = []
        for way in range(1, len(self.classes) + 1):
            masks = torch.stack([binary_mask(each, way) for each in labels])
            known = (masks != IGNORE).flatten(1).any(dim=1)
            if annotated == "slices":
                known &= (masks == 1).flatten(1).any(dim=1)
            heights = known.nonzero()[:, 0].tolist()
            shares = shares_of(masks, *features.shape[-2:]).to(features)
            if 0 < len(heights) < len(keys):
                shares = complete(features, shares[heights], heights)
            found.append(shares)
        return found

    def choose(self, features: np.ndarray, top: int, weight: float) -> Chosen:
        """Choose supports for the planes of a query.

        Slices of a volume get slices of the one annotated volume that fits best, in order. A
        picture gets the nearest of all annotated images.

        Args:
            features: pooled, [plane feature].
            top: how many a plane.
            weight: of the distance from where the slice lies once the volumes are laid over each
                other, in lengths of the annotated volume.
        """
        whole = self.whole
        if len(features) == 1 or not whole:
            keys = tuple(self._samples)
            costs = cosine_distances(features, self._pooled(keys))
            picked = choose(costs, top)
        else:
            tables = [self._ordered_costs(features, keys, weight) for keys in whole]
            rows = np.arange(len(features))
            fits = [table[rows, monotone_path(table)].mean() for table in tables]
            best = int(np.argmin(fits))
            keys, costs = whole[best], tables[best]
            picked = choose(costs, top, ordered=True)
        lowest = costs[np.arange(len(costs)), picked[:, 0]].tolist()
        return Chosen([[keys[place] for place in row] for row in picked.tolist()], lowest)

    def _ordered_costs(
        self, features: np.ndarray, keys: tuple[str, ...], weight: float
    ) -> np.ndarray:
        support = self._pooled(keys)
        places = align(features, support, Scale.of([features, support]))
        away = np.abs(np.subtract.outer(places, np.arange(len(keys)))) / len(keys)
        return cosine_distances(features, support) + weight * away

    @torch.inference_mode()
    def _encode(self, keys: tuple[str, ...]) -> Float[Tensor, "plane channel rows columns"]:
        images = (self._loader.image(self._samples[key]) for key in keys)
        return torch.cat(
            [self.segmenter.network.encode(to_channels(each, 3)[None]) for each in images]
        )

    def _condense(self, key: str) -> Support:
        sample = self._samples[key]
        image = to_channels(self._loader.image(sample), 3)[None]
        labels = self._loader.labels(sample, self.classes)[None]
        ways = range(1, len(self.classes) + 1)
        masks = torch.stack([binary_mask(labels, way) for way in ways])
        with torch.inference_mode():
            support = self.segmenter.network.encode_support(
                [image], masks.to(self.segmenter.network.device)
            )
            shots = with_masks(
                support.shots,
                masks,
                self.segmenter.network.head,
                self.segmenter.network.encoder.stride,
            )
            width = structure_width([labels.numpy()])
            return replace(support, shots=shots, annotated=AnnotatedScale(width, max(sample.size)))


def match_segment(command: MatchSegment) -> int:
    """Segment every query, say which supports were chosen, write masks and overlays."""
    if command.top < 1:
        raise DataError(f"top is {command.top}; expected at least 1")
    queries = list_queries(command.query)
    catalog = open_catalog(
        command.gallery,
        command.subject_pattern,
        command.classes,
        ignore_affine=command.ignore_affine,
        masks_for="a gallery of supports",
    )
    refuse_inside(command.out, command.gallery)
    samples = [sample for sample in catalog.samples if sample.masks]
    values = class_values(samples, catalog.classes)
    batch = Batch(queries, command.out, _settings(command, samples), largest=max(values))
    about = {
        "gallery": command.gallery.resolve().name,
        "classes": dict(zip(catalog.classes, values, strict=True)),
    }
    if not batch.to_do:
        return batch.run(nothing_left, about)
    segmenter = Segmenter(load_network(command.model)) if command.model else Segmenter()
    gallery = Gallery(samples, catalog.classes, values, Truth(catalog), segmenter)

    def answer(path: Path) -> tuple[Segmentation, dict[str, Any]]:
        result, chosen = segment_with(gallery, image_planes(path), command)
        planes = [
            {"supports": keys, "cost": round(cost, 5)}
            for keys, cost in zip(chosen.keys, chosen.costs, strict=True)
        ]
        named = dict.fromkeys(key for keys in chosen.keys for key in keys)
        tqdm.write(f"{path.name}: supports {', '.join(named)}")
        return result, {"planes": planes}

    return batch.run(answer, about)


def _settings(command: MatchSegment, samples: list[Sample]) -> str:
    """Hash what the masks depend on."""
    left_out = ("query", "out", "overwrite", "gallery", "model")
    options = {name: value for name, value in asdict(command).items() if name not in left_out}
    sources = {ref.path for s in samples for ref in (s.image, *(m.pixels for m in s.masks))}
    files = sorted(path for path in sources if path.is_file())
    return settings_hash(options, [*files, *model_files(command.model)])


def segment_with(
    gallery: Gallery, picture: Planes, command: MatchSegment
) -> tuple[Segmentation, Chosen]:
    """Segment an image or volume with the supports that a gallery offers for it.

    Raises:
        TooLargeError: the structures of its supports would vanish in it.
    """
    segmenter = gallery.segmenter
    limits = intensity_range(picture.pixels)
    frame = Frame(picture.pixels.shape[1], picture.pixels.shape[2], segmenter.network.settings.size)
    images = [to_channels(frame.fit_image(to_tensor(p, limits)), 3)[None] for p in picture.pixels]
    with torch.inference_mode():
        features = torch.cat([segmenter.network.encode(image) for image in images])
        trust = Trust(segmenter.network.head, len(images), inside_of(frame))
        if command.rule == "places" and len(images) > 1 and gallery.whole:
            chosen, logits = gallery.lay_over(features, command)
            _check_size(gallery, picture, chosen, command)
            for number, keys in enumerate(chosen.keys):
                if trust.due():
                    trust.look(list(map(gallery.support, keys)), features[number], logits[number])
            scored = map(Scored, logits.split(1), images, features.split(1))
            shares = list(refine(scored, frame, WHOLE if command.smooth else RefineSettings()))
        else:
            pooled = pyramid(features).cpu().numpy()
            chosen = gallery.choose(pooled, command.top, command.weight)
            _check_size(gallery, picture, chosen, command)
            shares = [
                _shares(gallery, frame, image, keys, features[number], trust)
                for number, (image, keys) in enumerate(zip(images, chosen.keys, strict=True))
            ]
    labels = [share.argmax(dim=0).to(torch.uint8).cpu().numpy() for share in shares]
    result = Segmentation(
        labels=np.stack(labels),
        probabilities=np.stack([share.half().cpu().numpy() for share in shares], axis=1),
        class_names=gallery.classes,
        values=gallery.values,
        source=picture,
        agreement=trust.value(),
    )
    return result, chosen


def _check_size(gallery: Gallery, picture: Planes, chosen: Chosen, command: MatchSegment) -> None:
    keys = dict.fromkeys(key for keys in chosen.keys for key in keys)
    if command.other_magnification:
        return
    supports = list(map(gallery.support, keys))
    if reason := too_large(gallery.segmenter.network, picture, supports, tiles=False):
        raise TooLargeError(reason)


def _shares(
    gallery: Gallery,
    frame: Frame,
    image: Tensor,
    keys: list[str],
    features: Tensor,
    trust: Trust,
) -> Tensor:
    """Average the probabilities that several supports give a plane: [label height width]."""
    supports = list(map(gallery.support, keys))
    logits = [gallery.segmenter.network.logits(support, image)[0] for support in supports]
    if trust.due():
        mean = torch.stack([each.softmax(dim=0) for each in logits]).mean(dim=0)
        trust.look(supports, features, mean)
    return torch.stack([frame.undo(each).softmax(dim=0) for each in logits]).mean(dim=0)
