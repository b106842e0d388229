"""Segment files like annotated ones, and write masks, overlays and a summary."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tqdm import tqdm

from episodes.errors import DataError
from episodes.io.axes import Reading
from fewshot.archive.batch import Batch
from fewshot.cli.instances import number_objects
from fewshot.cli.options import Segment
from fewshot.cli.predictor_option import predictor_of
from fewshot.inference.inputs import ImageStack, image_planes
from fewshot.inference.instances.border_objects import with_borders
from fewshot.inference.predictors.build import build_predictor, needs_network
from fewshot.inference.predictors.load import check_query, load_predictor
from fewshot.inference.predictors.self_configuring import SelfConfigured
from fewshot.inference.result import Segmentation
from fewshot.inference.saved_support import save_support
from fewshot.inference.segmenter import Segmenter
from fewshot.inference.support_set import SupportSet
from fewshot.inference.two_stage import TwoStageSupport
from fewshot.models.heads import Support
from fewshot.models.network import FewShotNetwork

TRAINED = "trained"  # folder of a model that was trained on the queries
_MAX_STEPS = 200  # of adaptation, should a machine be so fast


def segment_files(command: Segment, shots: SupportSet, batch: Batch) -> int:
    """Learn from the support, segment every query; one bad query does not stop the others.

    Args:
        command: what was typed.
        shots: the annotated images, as read.
        batch: the queries, and where their results go.

    Raises:
        DataError: queries failed (after all others were done).
    """
    predictor = with_borders(_predictor(command, shots, batch), shots, command.instances)
    network: FewShotNetwork | None = getattr(predictor, "network", None)
    if command.inference.predictor == "self-configuring" and not command.inference.method:
        expected = "10 s for one of 512 x 512 on 2 cores"
        print(f"choosing methods by the annotated images: {expected}", flush=True)
    if cost := getattr(predictor, "cost", None):
        print(cost(shots), flush=True)
    support = predictor.learn(shots)
    supports = _supports(support)
    learned: Sequence[Support | SelfConfigured] = (
        [support] if isinstance(support, SelfConfigured) else supports
    )
    for name, each in zip(command.support_names(), learned, strict=False):
        save_support(each, batch.out / f"{name}.safetensors")
    chosen = getattr(support, "configuration", None)
    if chosen is not None:
        print(chosen.describe(), flush=True)
    any_size = command.tiles or command.other_magnification
    objects = number_objects(command, predictor, shots, support, batch)
    reading, described = Reading(command.axes, command.channels), set(shots.axes())

    def answer(query: Path) -> tuple[Segmentation, dict[str, Any]]:
        picture = image_planes(query, reading)
        check_query(shots, network, supports, picture, any_size=any_size)
        result = predictor.segment(picture, support)
        _print_axes(picture, described)
        return result, {}

    about = {
        "classes": dict(zip(shots.names, shots.values, strict=True)),
        "support": [path.name for path in command.support],
        "model": network.fingerprint() if network is not None else None,
        "predictor": command.inference.predictor,
        "settings": {**asdict(predictor.settings), "coordinates": command.coordinates},
        "adapt_seconds": command.adapt,
        "train_on_queries_minutes": command.train_on_queries,
        **({"configuration": chosen.record()} if chosen is not None else {}),
        **({"instances": objects} if objects else {}),
    }
    return batch.run(answer, about)


def _print_axes(picture: ImageStack, described: set[str]) -> None:
    """Print how the axes of a query were read, once for all that are alike."""
    _, _, words = picture.describe().partition(": ")
    if words and not any(line.endswith(words) for line in described):
        tqdm.write(picture.describe())
        described.add(words)


def _predictor(command: Segment, shots: SupportSet, batch: Batch) -> Any:
    """Load the model, change it as asked for, and build what segments with it.

    Raises:
        DataError: options of a model are given for a predictor that needs none.
    """
    name, values = predictor_of(command.inference)
    if command.train_on_queries:
        from fewshot.training.pictures import train_on_pictures  # imports what training needs

        paths = [*command.support, *(query.path for query in batch.queries)]
        minutes, out = command.train_on_queries, batch.out / TRAINED
        return build_predictor(train_on_pictures(paths, minutes, out), name, values)
    options = ("coordinates", "size", "adapt")
    if name == "self-configuring" and command.model:
        if given := " ".join(f"--{option}" for option in options if getattr(command, option)):
            raise DataError(f"{name} takes a model as it was trained; leave out {given}")
    elif not needs_network(name):
        if given := " ".join(f"--{n}" for n in ("model", *options) if getattr(command, n)):
            raise DataError(f"--predictor {name} uses no model; leave out {given}")
    elif name == "end-to-end":
        values |= {"tiles": command.tiles}

    def change(network: FewShotNetwork, size: int) -> FewShotNetwork:
        if command.coordinates:
            network = network.with_coordinates(command.coordinates)
        if command.adapt:
            from fewshot.inference.test_time_training import (  # imports torchvision
                TestTimeSettings,
                adapt_to_shots,
            )

            settings = TestTimeSettings(steps=_MAX_STEPS, seconds=command.adapt)
            network = adapt_to_shots(Segmenter(network), shots, settings, size=size).network
        return network

    return load_predictor(
        shots, name, values, model=command.model, size=command.size, change=change
    )


def _supports(support: Any) -> Sequence[Support]:
    """List what was learned as far as it is saved beside the masks; volumes are not."""
    if isinstance(support, TwoStageSupport):
        if support.window is None:
            print(f"windows of {support.share:.0%} of the picture would show all; looking once")
            return [support.whole]
        return [support.whole, support.window]
    return support if isinstance(support, tuple) else []
