"""All cues on one answer, each after the other, in one fixed order."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional

from episodes.catalog.letterbox import Letterbox
from episodes.errors import ModelError
from fewshot.inference.postprocessing.connected_components import (
    filter_components,
    swap_label_probabilities,
)
from fewshot.inference.postprocessing.feature_affinity import smooth_by_similarity
from fewshot.inference.postprocessing.graph_cut import graph_cut
from fewshot.inference.postprocessing.location_prior import add_prior
from fewshot.inference.postprocessing.random_walker import random_walker
from fewshot.inference.postprocessing.settings import PostprocessSettings
from fewshot.inference.postprocessing.slice_smoothing import depth_weights, smooth_depth
from fewshot.inference.postprocessing.thresholds import preserve_area, shift_threshold

_LEAST = 1e-6  # probability below which logarithms no longer fall


@dataclass(frozen=True)
class SliceLogits:
    """Some slices of one image in their square, with the logits of a head.

    Attributes:
        logits: on the feature grid.
        images: the square itself.
        features: what the head compared; None where the segmenter has none to show.
    """

    logits: Float[Tensor, "slice label rows columns"]
    images: Float[Tensor, "slice channel height width"]
    features: Float[Tensor, "slice feature rows columns"] | None = None


@dataclass(frozen=True)
class _Slice:
    """One slice, reduced to what later steps need: volumes do not fit into memory otherwise."""

    logits: Float[Tensor, "label rows columns"]
    image: Float[Tensor, "channel side side"] | None
    descriptor: Float[Tensor, " feature"] | None


def postprocess(
    chunks: Iterable[SliceLogits],
    frame: Letterbox,
    settings: PostprocessSettings,
    prior: Float[Tensor, "label height width"] | None = None,
) -> Iterator[Float[Tensor, "label height width"]]:
    """Turn the logits of an image's slices into probabilities at its own pixels, refined.

    The order is fixed: what a position knows by itself comes first, what needs its neighbours
    later, and what needs a finished answer last.

    1. similarity and 2. proximity, on the feature grid;
    3. depth, on the feature grid of all slices;
    4. smooth, in a square of `smooth_side` pixels, of all slices where the walker goes across them;
    5. threshold, 6. keep and 7. fill, at the image's own size.

    Mirror images are scored before (`flip_consistent`), because they need the head. With all
    switches off, this is `frame.restore(logits).softmax(dim=0)`. Slices are handled as they come;
    only steps 3, 6 and 7, and a walker across slices, hold all of them.

    Args:
        chunks: slices in order; all of one image, stack or volume.
        frame: how the image sits in the square.
        settings: the switches.
        prior: from `position_prior`; needed for proximity.

    Returns:
        Probabilities of each label, one map a slice.

    Raises:
        ModelError: a cue lacks what it needs: features, the prior, or two labels for the cut.
    """
    slices: Iterable[_Slice] = (
        one for chunk in chunks for one in _on_the_grid(chunk, settings, prior)
    )
    if settings.depth:
        slices = _along_depth(list(slices), settings)
    groups = [list(slices)] if settings.walks_across else ([one] for one in slices)
    found = (logits for group in groups for logits in _within_regions(group, settings))
    probabilities = (
        shift_threshold(frame.restore(one).softmax(dim=0), settings.threshold) for one in found
    )
    if settings.keep == "all" and not settings.fill:
        return probabilities
    return _with_parts_settled(probabilities, settings)


def _on_the_grid(
    scored: SliceLogits, settings: PostprocessSettings, prior: Tensor | None
) -> Iterator[_Slice]:
    if scored.features is None and (settings.similarity or settings.depth_temperature):
        raise ModelError(
            "similarity and depth_temperature compare features, and this kind of segmenter "
            "shows none; set them to 0, or use a head that works on features"
        )
    if settings.proximity and prior is None:
        raise ModelError(
            "proximity needs to know where the support's masks lay; learn the support again"
        )
    side = (settings.smooth_side,) * 2
    for index, found in enumerate(scored.logits):
        features = None if scored.features is None else scored.features[index]
        logits = found
        if settings.similarity and features is not None:
            probabilities = smooth_by_similarity(
                logits.softmax(dim=0),
                features,
                settings.similarity,
                settings.similarity_temperature,
            )
            logits = probabilities.clamp(min=_LEAST).log()
        if settings.proximity and prior is not None:
            logits = add_prior(logits, prior, settings.proximity)
        image = descriptor = None
        if settings.smooth != "none":
            image = functional.interpolate(
                scored.images[[index]], size=side, mode="bilinear", antialias=True
            )[0].cpu()
        if settings.depth_temperature and features is not None:
            descriptor = features.mean(dim=(1, 2))
        yield _Slice(logits, image, descriptor)


def _along_depth(slices: list[_Slice], settings: PostprocessSettings) -> Iterator[_Slice]:
    known = [one.descriptor for one in slices if one.descriptor is not None]
    weights = depth_weights(
        len(slices),
        settings.depth,
        torch.stack(known) if known else None,
        settings.depth_temperature,
    )
    smoothed = smooth_depth(torch.stack([one.logits for one in slices]), weights)
    return (replace(one, logits=logits) for one, logits in zip(slices, smoothed, strict=True))


def _within_regions(
    group: list[_Slice], settings: PostprocessSettings
) -> Iterator[Float[Tensor, "label rows columns"]]:
    """Smooth within the image's edges, in a square of its own; logits in, logits out."""
    images = [one.image for one in group if one.image is not None]
    if not images:
        yield from (one.logits for one in group)
        return
    logits = torch.stack([one.logits for one in group])
    large = functional.interpolate(
        logits, size=images[0].shape[-2:], mode="bilinear", align_corners=False
    )
    probabilities = large.softmax(dim=1)
    if settings.smooth == "walker":
        walked = random_walker(
            probabilities,
            torch.stack(images).to(probabilities),
            settings.walker_length,
            contrast=settings.walker_contrast,
            across=settings.walker_across,
        )
        probabilities = preserve_area(walked, probabilities) if settings.walker_area else walked
    else:
        probabilities = torch.stack(
            list(map(partial(_cut, settings=settings), probabilities, images))
        )
    yield from probabilities.clamp(min=_LEAST).log()


def _cut(
    probabilities: Float[Tensor, "label height width"],
    image: Float[Tensor, "channel height width"],
    settings: PostprocessSettings,
) -> Float[Tensor, "label height width"]:
    if len(probabilities) != 2:
        raise ModelError(
            "the graph cut tells one class from background, but there are "
            f"{len(probabilities) - 1} classes; smooth with the walker, or segment the classes one "
            "by one"
        )
    inside = graph_cut(probabilities[1].cpu().numpy(), image.numpy(), settings.cut_strength)
    after = torch.from_numpy(inside).to(probabilities.device)
    return swap_label_probabilities(probabilities, probabilities.argmax(dim=0), after)


def _with_parts_settled(
    probabilities: Iterable[Tensor], settings: PostprocessSettings
) -> Iterator[Float[Tensor, "label height width"]]:
    kept = list(probabilities)
    labels = torch.stack([_labels(probability).cpu() for probability in kept]).numpy()
    settled = filter_components(labels, settings.keep, settings.keep_share, settings.fill)
    for probability, before, after in zip(kept, labels, settled, strict=True):
        yield swap_label_probabilities(
            probability,
            torch.from_numpy(before).to(probability.device),
            torch.from_numpy(after).to(probability.device),
        )


def _labels(probabilities: Float[Tensor, "label height width"]) -> Int[Tensor, "height width"]:
    """The first of the largest; argmax over a leading axis of two is slow."""
    return (
        (probabilities[1] > probabilities[0]).long()
        if len(probabilities) == 2
        else probabilities.argmax(dim=0)
    )
