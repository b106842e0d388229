"""Segment files like annotated ones, and write masks, overlays and a summary."""

import warnings
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from tqdm import tqdm

from episodes.io.axes import Reading
from fewshot.archive.batch import Batch
from fewshot.cli.options import Segment
from fewshot.inference.inputs import ImageStack, image_planes, other_view
from fewshot.inference.magnification import TooLargeError
from fewshot.inference.result import Segmentation
from fewshot.inference.segment_stack import too_large
from fewshot.inference.segmenter import Segmenter
from fewshot.inference.support_set import SupportSet
from fewshot.inference.two_stage import learn_two_stage, segment_two_stage
from fewshot.models.checkpoint import load_network, save_support
from fewshot.models.heads import Support

Look = Callable[[ImageStack], Segmentation]

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
    supports, look = _learned(command, shots)
    for name, support in supports.items():
        save_support(support, batch.out / f"{name}.safetensors")
    first = next(iter(supports.values()))
    reading, said = Reading(command.axes, command.channels), set(shots.axes())

    def answer(query: Path) -> tuple[Segmentation, dict[str, Any]]:
        picture = image_planes(query, reading)
        result = look(picture)
        _say_axes(picture, said)
        return result, {}

    about = {
        "classes": dict(zip(first.class_names, first.values, strict=True)),
        "support": [path.name for path in command.support],
        "model": first.model,
        "refine": {**asdict(command.postprocess), "coordinates": command.coordinates},
        "fuse": command.fuse,
        "zoom": command.zoom,
        "adapt_seconds": command.adapt,
    }
    return batch.run(answer, about)


def _say_axes(picture: ImageStack, said: set[str]) -> None:
    """Print how the axes of a query were read, once for all that are alike."""
    _, _, words = picture.describe().partition(": ")
    if words and not any(line.endswith(words) for line in said):
        tqdm.write(picture.describe())
        said.add(words)


def _learned(command: Segment, shots: SupportSet) -> tuple[dict[str, Support], Look]:
    """Load the model, change it as asked for, and learn the support: one, or one an image."""
    segmenter = Segmenter(load_network(command.model)) if command.model else Segmenter()
    if command.coordinates:
        segmenter = Segmenter(segmenter.network.with_coordinates(command.coordinates))
    size = command.size or segmenter.size_for(shots)
    if command.adapt:
        from fewshot.inference.test_time_training import (  # imports torchvision
            TestTimeSettings,
            adapt_to_shots,
        )

        settings = TestTimeSettings(steps=_MAX_STEPS, seconds=command.adapt)
        segmenter = adapt_to_shots(segmenter, shots, settings, size=size)
    mirror, how = command.postprocess.flip == "both", command.fuse
    if command.zoom:
        zoomed = learn_two_stage(segmenter, shots, command.zoom, size=size, mirror=mirror)
        if zoomed.window is None:
            print(f"windows of {zoomed.share:.0%} of the picture would show all; looking once")
        parts = [zoomed.whole] if zoomed.window is None else [zoomed.whole, zoomed.window]
        named = dict(zip(command.support_names(), parts, strict=False))
        look = partial(
            segment_two_stage, segmenter, support=zoomed, postprocess=command.postprocess
        )
        return named, partial(_look, command, shots, segmenter, named, look)
    sets = [shots] if how == "together" else shots.split()
    supports = [segmenter.learn_shots(s, size=size, mirror=mirror) for s in sets]
    fuse = "probabilities" if how == "together" else how
    named = dict(zip(command.support_names(), supports, strict=True))
    look = partial(segmenter.segment, support=supports, postprocess=command.postprocess, fuse=fuse)
    if command.tiles:
        look = partial(look, tiles=True)
    return named, partial(_look, command, shots, segmenter, named, look)


def _look(
    command: Segment,
    shots: SupportSet,
    segmenter: Segmenter,
    named: dict[str, Support],
    look: Callable[..., Segmentation],
    query: ImageStack,
) -> Segmentation:
    """Segment one query; warn where its slices cut the body otherwise than the annotated ones.

    Raises:
        TooLargeError: annotated structures would vanish in it, and nothing was said of that.
    """
    if words := other_view(shots.pictures, query):
        warnings.warn(words, stacklevel=2)
    if command.tiles:
        return look(query)
    if not command.other_magnification:
        first = next(iter(named.values()))
        if reason := too_large(segmenter.network, query, [first]):
            raise TooLargeError(reason)
    return look(query, other_magnification=True)
