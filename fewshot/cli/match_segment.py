"""`fewshot match segment`: every image is segmented with the annotated one that fits it best."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from episodes.catalog.catalog import Sample
from episodes.catalog.letterbox import Letterbox, intensity_range, to_tensor
from episodes.errors import DataError
from episodes.sampling.episode import to_channels
from fewshot.archive.batch import Batch, nothing_left, refuse_inside
from fewshot.archive.ledger import model_files, settings_hash
from fewshot.archive.queries import list_queries
from fewshot.cli.gallery_values import class_values
from fewshot.cli.match_options import MatchSegment
from fewshot.evaluation.confusion_counts import GroundTruth
from fewshot.evaluation.support_gallery import Chosen, SupportGallery
from fewshot.experiments.split import open_catalog
from fewshot.inference.inputs import ImageStack, image_planes
from fewshot.inference.magnification import TooLargeError
from fewshot.inference.postprocessing.pipeline import SliceLogits, postprocess
from fewshot.inference.postprocessing.settings import PostprocessSettings
from fewshot.inference.preprocess import inside_of
from fewshot.inference.query_similarity import SimilarityTracker
from fewshot.inference.result import Segmentation
from fewshot.inference.segment_stack import too_large
from fewshot.inference.segmenter import Segmenter
from fewshot.inference.volumes.slice_position import grid_pooled_features
from fewshot.models.checkpoint import load_network

WHOLE = PostprocessSettings(
    smooth="walker",
    walker_length=12.0,
    walker_contrast=3.0,
    walker_across=2.0,
    threshold=0.4,
    keep="largest",
)
"""How answers for volumes are refined, unless told otherwise."""


def match_segment(command: MatchSegment) -> int:
    """Segment every query, say which supports were chosen, write masks and overlays."""
    if command.top < 1:
        raise DataError(f"top is {command.top}; expected at least 1")
    queries = list_queries(command.query)
    catalog = open_catalog(command.gallery, command.dataset, masks_for="a gallery of supports")
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
    gallery = SupportGallery(samples, catalog.classes, values, GroundTruth(catalog), segmenter)

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
    left_out = ("query", "out", "output", "gallery", "model")
    options = {name: value for name, value in asdict(command).items() if name not in left_out}
    sources = {ref.path for s in samples for ref in (s.image, *(m.pixels for m in s.masks))}
    files = sorted(path for path in sources if path.is_file())
    return settings_hash(options, [*files, *model_files(command.model)])


def segment_with(
    gallery: SupportGallery, picture: ImageStack, command: MatchSegment
) -> tuple[Segmentation, Chosen]:
    """Segment an image or volume with the supports that a gallery offers for it.

    Raises:
        TooLargeError: the structures of its supports would vanish in it.
    """
    segmenter = gallery.segmenter
    limits = intensity_range(picture.pixels)
    frame = Letterbox(
        picture.pixels.shape[1], picture.pixels.shape[2], segmenter.network.settings.size
    )
    images = [to_channels(frame.fit_image(to_tensor(p, limits)), 3)[None] for p in picture.pixels]
    with torch.inference_mode():
        features = torch.cat([segmenter.network.encode(image) for image in images])
        similarity = SimilarityTracker(segmenter.network.head, len(images), inside_of(frame))
        if command.rule == "places" and len(images) > 1 and gallery.whole:
            chosen, logits = gallery.lay_over(
                features, command.top, command.weight, command.annotated
            )
            _check_size(gallery, picture, chosen, command)
            for number, keys in enumerate(chosen.keys):
                if similarity.due():
                    similarity.update(
                        list(map(gallery.support, keys)), features[number], logits[number]
                    )
            scored = map(SliceLogits, logits.split(1), images, features.split(1))
            probabilities = list(
                postprocess(scored, frame, WHOLE if command.smooth else PostprocessSettings())
            )
        else:
            pooled = grid_pooled_features(features).cpu().numpy()
            chosen = gallery.select_supports(pooled, command.top, command.weight)
            _check_size(gallery, picture, chosen, command)
            probabilities = [
                _probabilities(gallery, frame, image, keys, features[number], similarity)
                for number, (image, keys) in enumerate(zip(images, chosen.keys, strict=True))
            ]
    labels = [share.argmax(dim=0).to(torch.uint8).cpu().numpy() for share in probabilities]
    result = Segmentation(
        labels=np.stack(labels),
        probabilities=np.stack([share.half().cpu().numpy() for share in probabilities], axis=1),
        class_names=gallery.classes,
        values=gallery.values,
        source=picture,
        query_support_similarity=similarity.value(),
    )
    return result, chosen


def _check_size(
    gallery: SupportGallery, picture: ImageStack, chosen: Chosen, command: MatchSegment
) -> None:
    keys = dict.fromkeys(key for keys in chosen.keys for key in keys)
    if command.other_magnification:
        return
    supports = list(map(gallery.support, keys))
    if reason := too_large(gallery.segmenter.network, picture, supports, tiles=False):
        raise TooLargeError(reason)


def _probabilities(
    gallery: SupportGallery,
    frame: Letterbox,
    image: Tensor,
    keys: list[str],
    features: Tensor,
    similarity: SimilarityTracker,
) -> Tensor:
    """Average the probabilities that several supports give a plane: [label height width]."""
    supports = list(map(gallery.support, keys))
    logits = [gallery.segmenter.network.logits(support, image)[0] for support in supports]
    if similarity.due():
        mean = torch.stack([each.softmax(dim=0) for each in logits]).mean(dim=0)
        similarity.update(supports, features, mean)
    return torch.stack([frame.restore(each).softmax(dim=0) for each in logits]).mean(dim=0)
