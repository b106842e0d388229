"""How images are segmented, as commands offer it; importable without torch."""

from dataclasses import dataclass, field
from typing import Literal

from tyro.conf import OmitArgPrefixes

from fewshot.inference.postprocessing.settings import PostprocessSettings

Ensemble = Literal["probabilities", "logits", "weighted", "majority"]
"""How the predictions by several supports become one, see `fewshot.inference.ensemble`."""


InstanceMethod = Literal["auto", "distance", "border", "seeds"]
"""How touching objects are split, see `fewshot.inference.instances.splitting`."""


@dataclass(frozen=True, kw_only=True)
class InferenceSettings:
    """Which predictor segments, and how."""

    predictor: str | None = None
    """How queries are segmented: by methods that are chosen on the annotated images
    (self-configuring, the default of images without a model; best-objects, that of count), each
    slice by itself (end-to-end, the default otherwise, or slice), volumes with what is annotated in
    whole volumes (multi-slice, registered-slice, registered-volume), or without a model (copy-mask
    or any baseline of --method); or as a recipe does it, such as alpnet-registered
    (docs/refinement.md)."""
    method: tuple[str, ...] = ()
    """Methods that self-configuring mixes in equal parts, such as neighbours-512
    (docs/self-configuration.md); by default chosen on the annotated images. Or one baseline, which
    uses no trained network (docs/baselines.md): thresholds (threshold, local-threshold, multi-otsu,
    histogram-valleys), regions (region-growing, watershed, felzenszwalb), edges (edge-filling),
    clusters and colour models (k-means, gaussian-mixture), graphs (random-walker, graph-cut,
    grabcut), contours and shapes (chan-vese, geodesic-contour, shape-model), atlases (atlas,
    atlas-staple), pixel classification (pixel-forest), networks trained on the annotated images for
    minutes (unet, fcn, mask-rcnn), or copy-mask."""
    setting: tuple[str, ...] = ()
    """Settings of the predictor or baseline by their names, such as --setting steps=400
    loss=focal encoder=resnet18 of unet; a tuple as decoder=[64,32,16]."""
    annotated: Literal["volume", "slices"] | None = None
    """What registered-volume takes as annotated: all slices, or only those that show a class; by
    default all, unless unmarked slices lie between marked ones or few are marked."""
    ensemble: Ensemble | None = None
    """Learn each annotated image by itself, and average the predictions: by the mean of
    probabilities or logits, weighted by likeness to the query, or by majority. By default all are
    learned together."""
    zoom: float | None = None
    """Look twice, the second time in a window of so many extents of the marked structure, such as
    2.5, around the largest part that was found; by default once. For one small structure an
    image."""
    postprocess: OmitArgPrefixes[PostprocessSettings] = field(default_factory=PostprocessSettings)
