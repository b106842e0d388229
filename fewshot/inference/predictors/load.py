"""A predictor with its model, for annotated images; and queries that do not fit to them."""

import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from episodes.errors import DataError
from fewshot.inference.inputs import ImageStack, other_view
from fewshot.inference.magnification import TooLargeError, annotated_scale
from fewshot.inference.predictors.build import build_predictor, needs_network
from fewshot.inference.segment_stack import scale_mismatch, too_large
from fewshot.inference.segmenter import Segmenter
from fewshot.inference.support_set import SupportSet
from fewshot.models.checkpoint import build_network, load_network
from fewshot.models.heads import Support
from fewshot.models.network import FewShotNetwork

Change = Callable[[FewShotNetwork, int], FewShotNetwork]
"""From a network and the side of its square to the network that is used."""


def load_predictor(
    shots: SupportSet,
    name: str,
    values: Mapping[str, Any],
    *,
    model: Path | None = None,
    size: int | None = None,
    change: Change | None = None,
) -> Any:
    """Load the model that a predictor needs, and build it.

    Args:
        shots: the annotated images, which decide the size by default.
        name: of a registered predictor.
        values: settings that differ from its defaults, see `build_predictor`.
        model: folder of a trained model; by default ImageNet features where one is needed.
        size: side of the square in which images are compared, in pixels.
        change: adapts the network, where there is one that is not used as it was trained.

    Raises:
        DataError: a model is named, or a size, for a predictor that does not use it.
        FewshotError: there is no such model, predictor or setting.
    """
    if name == "self-configuring":
        if size is not None:
            raise DataError(f"{name} compares images at sizes of its own; leave out size")
        return build_predictor(load_network(model) if model else None, name, values)
    if not needs_network(name):
        given = [n for n, value in (("model", model), ("size", size)) if value is not None]
        if given:
            raise DataError(f"the predictor {name} uses no model; leave out {', '.join(given)}")
        return build_predictor(None, name, values)
    network = load_network(model) if model else build_network()
    side = size or Segmenter(network).size_for(shots)
    if change is not None:
        network = change(network, side)
    if name == "end-to-end":
        # A larger magnification is checked before, by `check_query`.
        values = {**values, "size": side, "other_magnification": True}
    elif size is not None:
        network = network.with_size(size)
    return build_predictor(network, name, values)


def default_predictor(shots: SupportSet, model: Path | None = None) -> str:
    """Name the predictor where none is chosen: that of a single model for volumes.

    Volumes have slices in number, which `self-configuring` would take minutes for.
    """
    volume = any(picture.volume for picture in shots.pictures)
    return "end-to-end" if volume or model is not None else "self-configuring"


def check_query(
    shots: SupportSet,
    network: FewShotNetwork | None,
    supports: Sequence[Support],
    query: ImageStack,
    *,
    any_size: bool = False,
) -> None:
    """Warn where a query's slices cut the body otherwise than the annotated ones.

    Args:
        shots: the annotated images.
        network: that compares them, if there is one.
        supports: what it learned, if that is known.
        query: the image.
        any_size: whether larger images are segmented in tiles, or are at another magnification.

    Raises:
        TooLargeError: annotated structures would vanish in it, and nothing was said of that.
    """
    if words := other_view(shots.pictures, query):
        warnings.warn(words, stacklevel=2)
    if network is None or any_size:
        return
    if supports:
        reason = too_large(network, query, supports[:1])
    else:
        scale = annotated_scale(shots.pictures, shots.maps)
        reason = scale_mismatch(network, query, scale, network.settings.size, tiles=False)
    if reason:
        raise TooLargeError(reason)
