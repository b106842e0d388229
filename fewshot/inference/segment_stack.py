"""From a picture and supports to a segmentation: score, fuse, refine, and say how far to trust."""

import warnings
from collections.abc import Callable, Iterable, Sequence

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from episodes.errors import ModelError
from fewshot.inference.ensemble import fuse, similarity_weights
from fewshot.inference.inputs import ImageStack
from fewshot.inference.magnification import magnified, vanishing
from fewshot.inference.postprocessing.flip_tta import flip_consistent, mirrored
from fewshot.inference.postprocessing.location_prior import position_prior
from fewshot.inference.postprocessing.pipeline import SliceLogits, postprocess
from fewshot.inference.postprocessing.settings import PostprocessSettings
from fewshot.inference.preprocess import CHUNK, inside_of, letterbox_of, preprocess
from fewshot.inference.query_similarity import SimilarityTracker
from fewshot.inference.result import Segmentation
from fewshot.inference.settings import Ensemble
from fewshot.memory import check_memory
from fewshot.models.calibration import Calibration
from fewshot.models.heads.base import Support
from fewshot.models.network import FewShotNetwork
from fewshot.models.scale import AnnotatedScale

Look = Callable[[Support, bool], tuple[Tensor, Tensor | None]]
"""From a support, and whether the query is to be mirrored, to logits and features."""


def segment_stack(
    network: FewShotNetwork,
    picture: ImageStack,
    supports: Sequence[Support],
    settings: PostprocessSettings,
    how: Ensemble,
    other_magnification: bool = False,
) -> Segmentation:
    """Segment a picture at its own size; see `Segmenter.segment` for the arguments."""
    _check(network, supports, settings)
    no_answer = "" if other_magnification else too_large(network, picture, supports)
    if no_answer:
        warnings.warn(no_answer, stacklevel=3)
    first = supports[0]
    size = first.size or network.settings.size
    check_memory(network.encoder, size, min(CHUNK, len(picture.pixels)), network.device)
    frame = letterbox_of(picture, size)
    similarity = SimilarityTracker(network.head, len(picture.pixels), inside_of(frame))
    chunks = (
        _watched(similarity, supports, _scored(network, supports, images, settings, how))
        for images in preprocess(picture, frame, range(len(picture.pixels)))
    )
    probabilities = postprocess(chunks, frame, settings, prior_of(supports, settings))
    return segmentation_of(
        *(picture, probabilities, first.class_names, first.values),
        similarity=similarity.value,
        no_answer=no_answer,
    )


def _most_probable(
    probabilities: Float[Tensor, "label height width"],
) -> UInt8[Tensor, "height width"]:
    """Label with the highest probability, the first of equal ones; faster than argmax."""
    best, labels = probabilities[0], torch.zeros_like(probabilities[0], dtype=torch.uint8)
    for label, each in enumerate(probabilities[1:], 1):
        labels.masked_fill_(each > best, label)
        best = torch.maximum(best, each)
    return labels


def segmentation_of(
    picture: ImageStack,
    probabilities: Iterable[Float[Tensor, "label height width"]],
    names: tuple[str, ...],
    values: tuple[int, ...],
    *,
    similarity: Callable[[], float | None],
    no_answer: str = "",
) -> Segmentation:
    """Give every pixel of the planes of a picture its most probable label.

    Args:
        picture: planes as many as there are probabilities.
        probabilities: of each plane, in order; taken one by one.
        names, values: of the classes, see `Segmentation`.
        similarity: of query and support, once all probabilities were taken.
        no_answer: see `Segmentation`.
    """
    labels, kept = [], []
    for each in probabilities:
        labels.append(_most_probable(each).cpu().numpy())
        kept.append(each.half().cpu().numpy())
    return Segmentation(
        labels=np.stack(labels),
        probabilities=np.stack(kept, axis=1),
        class_names=names,
        values=values,
        source=picture,
        query_support_similarity=similarity(),
        no_answer=no_answer,
    )


def too_large(
    network: FewShotNetwork, picture: ImageStack, supports: Sequence[Support], *, tiles: bool = True
) -> str:
    """Say why annotated structures would vanish in a picture; "" where they do not.

    Warns of a picture that is too small instead.

    Args:
        network: that compares them.
        picture: to be segmented.
        supports: learned.
        tiles: whether it could be segmented in tiles, or compared larger.
    """
    for support in supports:
        size = support.size or network.settings.size
        words = scale_mismatch(network, picture, support.annotated, size, tiles=tiles)
        if words:
            return words
    return ""


def scale_mismatch(
    network: FewShotNetwork,
    picture: ImageStack,
    known: AnnotatedScale | None,
    size: int,
    *,
    tiles: bool = True,
) -> str:
    """Say why structures of annotated images would vanish in a picture; see `too_large`."""
    if words := vanishing(known, picture, size, network.encoder.stride, tiles=tiles):
        return words
    if words := magnified(known, picture):
        warnings.warn(words, stacklevel=5)
    return ""


def score(
    look: Look,
    images: Float[Tensor, "query channel height width"],
    supports: Sequence[Support],
    settings: PostprocessSettings,
    calibration: Calibration,
    how: Ensemble = "probabilities",
) -> SliceLogits:
    """Score images with every support, and their mirror images where asked for; fuse the answers.

    Args:
        look: gives logits and features of the images; a caller may remember features.
        images: in the square.
        supports: condensed.
        settings: of them, `flip`.
        calibration: of the network.
        how: supports are fused.
    """
    seen = [look(support, False) for support in supports]
    logits = torch.stack([calibration(found) for found, _ in seen])
    features = seen[0][1]
    if settings.flip != "none":
        sides = [s.mirrored if settings.flip == "both" else s for s in supports]
        turned = [calibration(look(side, True)[0]) for side in sides if side is not None]
        logits = flip_consistent(logits, torch.stack(turned))
    if len(supports) == 1:
        return SliceLogits(logits[0], images, features)
    weights = None
    if how == "weighted":
        if features is None:
            raise ModelError(
                "supports are weighted by their features, and this kind of segmenter shows none; "
                "fuse probabilities instead"
            )
        weights = similarity_weights(_pooled(supports, features), features.mean(dim=(2, 3)))
    return SliceLogits(fuse(logits, how, weights), images, features)


def _scored(
    network: FewShotNetwork,
    supports: Sequence[Support],
    images: Tensor,
    settings: PostprocessSettings,
    how: Ensemble,
) -> SliceLogits:
    def look(support: Support, mirror: bool) -> tuple[Tensor, Tensor | None]:
        return network.logits_and_features(support, mirrored(images) if mirror else images)

    return score(look, images, supports, settings, network.calibration, how)


def prior_of(
    supports: Sequence[Support], settings: PostprocessSettings
) -> Float[Tensor, "label rows columns"] | None:
    """Where the supports' masks lay, if that is asked for and known."""
    if not settings.proximity or any("masks" not in support.shots for support in supports):
        return None
    masks = torch.cat([support.shots["masks"] for support in supports], dim=1)
    return position_prior(masks, settings.proximity_width)


def _watched(
    similarity: SimilarityTracker, supports: Sequence[Support], scored: SliceLogits
) -> SliceLogits:
    """Pass a chunk on, looking at some of its planes."""
    for index, logits in enumerate(scored.logits):
        if similarity.due() and scored.features is not None:
            similarity.update(supports, scored.features[index], logits)
    return scored


def _pooled(supports: Sequence[Support], features: Tensor) -> Tensor:
    return torch.stack([s.shots["features"].to(features).mean(dim=(0, 2, 3)) for s in supports])


def _check(
    network: FewShotNetwork, supports: Sequence[Support], settings: PostprocessSettings
) -> None:
    if not supports:
        raise ModelError("no support; learn one from an annotated image first")
    fingerprint = network.fingerprint()
    for support in supports:
        if support.model and support.model != fingerprint:
            raise ModelError(
                "another model made this support, so their features cannot be compared; "
                "learn it again with the segmenter in use"
            )
        if settings.flip == "both" and support.mirrored is None:
            raise ModelError(
                "flip is both, but the support knows no mirror images; learn it with mirror=True, "
                "or mirror the query alone"
            )
    kinds = {(support.class_names, support.size) for support in supports}
    if len(kinds) > 1:
        raise ModelError(
            f"the supports differ in classes or size: {sorted(kinds)}; learn all with the same "
            "classes and size"
        )
