"""A segmenter that configures itself: several methods, mixed as the annotated structures need."""

import difflib
import sys
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional
from tqdm import tqdm

from episodes.errors import ModelError, shorten
from fewshot.inference.inputs import ImageStack
from fewshot.inference.magnification import annotated_scale, fields_along, vanishing
from fewshot.inference.postprocessing.pipeline import SliceLogits, postprocess
from fewshot.inference.postprocessing.settings import FEATURE_STEPS, PostprocessSettings
from fewshot.inference.predictors.build import register_predictor
from fewshot.inference.predictors.feature_predictor import annotated_slices
from fewshot.inference.preprocess import letterbox_of, only_selected
from fewshot.inference.result import Segmentation
from fewshot.inference.segment_stack import segmentation_of
from fewshot.inference.self_configuration.candidates import CANDIDATES, Candidate, Fitted
from fewshot.inference.self_configuration.candidates.trained import Trained
from fewshot.inference.self_configuration.configuration import (
    TRAINED,
    Configuration,
    by_hand,
    configure,
)
from fewshot.inference.self_configuration.evidence import scores
from fewshot.inference.self_configuration.expectation import expected_dice
from fewshot.inference.self_configuration.unlike import warn_of_unlike
from fewshot.inference.self_configuration.views import FINE, Shot, View
from fewshot.inference.support_set import SupportSet, warn_of_one_label
from fewshot.inference.tiles import join_tiles, mean_of_known
from fewshot.models.network import FewShotNetwork
from fewshot.models.scale import AnnotatedScale
from fewshot.registry import PREDICTORS

_MOST = 16  # annotated planes that are learned; features of more would fill the memory
_STRIDE = 8  # of the coarse levels, below which structures vanish
_CERTAIN = 10.0  # log odds of background beside the image


@dataclass(frozen=True)
class SelfConfiguringSettings:
    """What is left to choose by hand.

    Attributes:
        postprocess: steps that follow the mixture.
        method: candidates that are mixed in equal parts, see `CANDIDATES`, or "trained" where there
            is a network; by default chosen.
    """

    postprocess: PostprocessSettings = field(default_factory=PostprocessSettings)
    method: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        default = PostprocessSettings()
        steps = ((name, getattr(self.postprocess, name)) for name in FEATURE_STEPS)
        if asked := [name for name, value in steps if value != getattr(default, name)]:
            raise ModelError(
                f"{', '.join(asked)} needs the features of one model, and this predictor mixes "
                "several; leave it out, or choose the predictor end-to-end"
            )
        known = (*CANDIDATES, TRAINED)
        if unknown := [name for name in self.method if name not in known]:
            near = difflib.get_close_matches(unknown[0], [*known, *PREDICTORS.names()], n=2)
            hint = f"did you mean {' or '.join(near)}? " if near else ""
            raise ModelError(
                f"there is no method {shorten(unknown)}; {hint}expected some of "
                f"{', '.join(known)}, or one baseline (docs/baselines.md)"
            )


@dataclass(frozen=True, eq=False)
class SelfConfigured:
    """What was learned.

    Attributes:
        names, values: of the classes, see `SupportSet`.
        configuration: what was chosen, and why.
        fitted: the chosen candidates.
        annotated: how large the annotated structures are.
        shots: the annotated images, from which objects are learned.
    """

    names: tuple[str, ...]
    values: tuple[int, ...]
    configuration: Configuration
    fitted: Mapping[str, Fitted]
    annotated: AnnotatedScale
    shots: SupportSet | None = None


@register_predictor("self-configuring")
class SelfConfiguringPredictor:
    """Choose methods by what is annotated, learn them, and add their log odds.

    Args:
        network: one more method, at the size at which it was trained; by default there is none.
        settings: by default those of `SelfConfiguringSettings`.
    """

    Settings: ClassVar = SelfConfiguringSettings
    whole_volumes: ClassVar[bool] = False
    needs_network: ClassVar[bool] = False

    def __init__(
        self,
        network: FewShotNetwork | None = None,
        settings: SelfConfiguringSettings | None = None,
    ) -> None:
        self.settings = settings or SelfConfiguringSettings()
        self.candidates: dict[str, Candidate] = dict(CANDIDATES)
        if network is not None:
            self.candidates[TRAINED] = Trained(network)
        elif TRAINED in self.settings.method:
            raise ModelError(f"the method {TRAINED} needs a model, and there is none")

    @torch.inference_mode()
    def learn(self, support_set: SupportSet) -> SelfConfigured:
        """Choose and learn; see `Predictor`."""
        warn_of_one_label(support_set)
        shots = list(_shots(support_set))
        way = len(support_set.names)
        warn_of_unlike(shots, way)
        names = self.settings.method or tuple(self.candidates)
        tried = {name: self.candidates[name] for name in names}
        with tqdm(
            desc="choosing methods",
            total=2 * len(tried),
            disable=bool(self.settings.method) or not sys.stderr.isatty(),
            leave=False,
        ) as bar:
            fitted = {}
            for name, candidate in tried.items():
                fitted[name] = candidate.fit(shots, way)
                bar.update()
            if self.settings.method:
                chosen = by_hand(names)
            else:
                chosen = configure(*scores(tried, fitted, shots, way, bar.update))
        fitted = {name: fitted[name] for name in chosen.weights}
        return _configured(support_set, chosen, fitted)

    @torch.inference_mode()
    def relearn(self, support_set: SupportSet, configured: SelfConfigured) -> SelfConfigured:
        """Learn other annotated images by what was chosen already, which saves choosing.

        Args:
            support_set: of any classes.
            configured: of `learn`.
        """
        shots, chosen = list(_shots(support_set)), configured.configuration
        way = len(support_set.names)
        fitted = {name: self.candidates[name].fit(shots, way) for name in chosen.weights}
        return _configured(support_set, chosen, fitted)

    @torch.inference_mode()
    def segment(self, image: ImageStack, support: SelfConfigured) -> Segmentation:
        """Segment each selected plane; see `Predictor`.

        A plane so much larger than the annotated ones that their structures would vanish is
        segmented in parts of the annotated ones' size, see `fewshot.inference.tiles`.
        """
        picture = only_selected(image)
        if vanishing(support.annotated, picture, FINE, _STRIDE):
            times, _ = fields_along(support.annotated, picture)
            side = max(1, round(max(picture.pixels.shape[1:3]) / times))
            return join_tiles(picture, side, lambda part: self._segment(part, support))
        return self._segment(picture, support)

    def _segment(self, picture: ImageStack, support: SelfConfigured) -> Segmentation:
        frame = letterbox_of(picture, View(picture).side)
        expected: list[tuple[float | None, float]] = []
        chunks = (
            self._scored(View(picture, plane), support, expected)
            for plane in range(len(picture.pixels))
        )
        probabilities = postprocess(chunks, frame, self.settings.postprocess)
        result = segmentation_of(
            *(picture, probabilities, support.names, support.values), similarity=lambda: None
        )
        return replace(result, expected_dice=mean_of_known(expected))

    def _scored(
        self, view: View, support: SelfConfigured, expected: list[tuple[float | None, float]]
    ) -> SliceLogits:
        """Put the mixture into the square, beside a background of log odds 0."""
        frame = letterbox_of(view.picture, view.side)
        parts = candidate_odds(view, support, frame.inner)
        odds = support.configuration.mix(parts)
        found = float((odds > 0).float().mean()) + 1e-6  # which weighs planes without any, too
        if support.configuration.on_copies:  # not known of what was chosen by hand
            expected.append((expected_dice(parts, odds, support.configuration.weights), found))
        square = functional.pad(odds, frame.padding, value=-_CERTAIN)
        logits = torch.cat([torch.zeros_like(square[:1]), square])
        image = frame.fit_image(view.image)
        return SliceLogits(logits[None], image.expand(3, -1, -1)[None])


def _configured(
    support_set: SupportSet, chosen: Configuration, fitted: Mapping[str, Fitted]
) -> SelfConfigured:
    scale = annotated_scale(support_set.pictures, support_set.maps)
    return SelfConfigured(
        *(support_set.names, support_set.values, chosen, fitted, scale, support_set)
    )


def candidate_odds(
    view: View, support: SelfConfigured, shape: Sequence[int]
) -> dict[str, Float[Tensor, "way height width"]]:
    """Score a plane with every chosen candidate, on a grid of some shape."""
    return {
        name: functional.interpolate(
            fitted.log_odds(view).float()[None],
            size=tuple(shape),
            mode="bilinear",
            align_corners=False,
        )[0]
        for name, fitted in support.fitted.items()
    }


def _shots(support_set: SupportSet) -> Iterator[Shot]:
    for number, plane in _few(support_set):
        labels = torch.from_numpy(np.ascontiguousarray(support_set.maps[number][plane]))
        yield Shot(View(support_set.pictures[number], plane), labels)


def _few(support_set: SupportSet) -> list[tuple[int, int]]:
    """Choose annotated planes: evenly spaced, and of a class that they do not show the largest."""
    planes = annotated_slices(support_set).planes
    places = {round(place) for place in np.linspace(0, len(planes) - 1, min(len(planes), _MOST))}
    chosen = [planes[place] for place in sorted(places)]
    for label in range(1, len(support_set.names) + 1):
        areas = {each: int((support_set.maps[each[0]][each[1]] == label).sum()) for each in planes}
        if not any(areas[each] for each in chosen):
            chosen.append(max(planes, key=areas.__getitem__))
    if len(chosen) < len(planes):
        warnings.warn(
            f"{len(planes)} planes are annotated; {len(chosen)} of them, evenly spaced, are "
            "learned, as features of all would fill the memory. To use all, train on them "
            "(docs/training.md)",
            stacklevel=4,
        )
    return chosen
