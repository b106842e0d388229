"""`fewshot match segment`: every image is segmented with the annotated one that fits it best."""

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tqdm import tqdm

from episodes.catalog.catalog import Catalog, Sample
from episodes.errors import DataError
from fewshot.archive.batch import Batch, nothing_left, refuse_inside
from fewshot.archive.ledger import model_files, settings_hash
from fewshot.archive.queries import list_queries
from fewshot.cli.gallery_values import class_values
from fewshot.cli.match_options import MatchSegment
from fewshot.evaluation.confusion_counts import GroundTruth
from fewshot.evaluation.support_gallery import SupportGallery
from fewshot.experiments.split import open_catalog
from fewshot.inference.inputs import ImageStack, image_planes
from fewshot.inference.postprocessing.settings import PostprocessSettings
from fewshot.inference.predictors.build import build_predictor
from fewshot.inference.predictors.slice import AssignedSlicePredictor, SliceSettings
from fewshot.inference.result import Segmentation
from fewshot.inference.segmenter import Segmenter
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
    gallery = _gallery(command, samples, catalog, values)

    def answer(path: Path) -> tuple[Segmentation, dict[str, Any]]:
        picture = image_planes(path)
        result, chosen = gallery(picture).segment(
            picture, other_magnification=command.other_magnification
        )
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


def _gallery(
    command: MatchSegment, samples: list[Sample], catalog: Catalog, values: tuple[int, ...]
) -> Callable[[ImageStack], SupportGallery]:
    """Make what finds the supports of a query: volumes by registration, or images one by one."""
    network = load_network(command.model) if command.model else Segmenter().network
    truth = GroundTruth(catalog)
    steps = asdict(WHOLE) if command.smooth else {}
    settings = {**steps, "annotated": command.annotated}
    whole = build_predictor(network, "registered-volume", settings)
    single = AssignedSlicePredictor(network, SliceSettings(ensemble="probabilities"))
    single.share_cache(whole)
    by_volume, by_slice = (
        SupportGallery(
            *(samples, catalog.classes, values, truth, predictor),
            weight=command.weight,
            top=command.top,
        )
        for predictor in (whole, single)
    )

    def choose(picture: ImageStack) -> SupportGallery:
        volumes = command.rule == "places" and len(picture.pixels) > 1 and by_volume.volumes
        return by_volume if volumes else by_slice

    return choose
