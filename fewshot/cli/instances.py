"""`--instances`: numbered objects beside the masks of `fewshot segment` and `fewshot count`."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from episodes.errors import DataError
from episodes.io.read import stem
from fewshot.archive.batch import Batch
from fewshot.archive.object_files import ObjectFiles
from fewshot.archive.queries import Query
from fewshot.cli.options import Segment
from fewshot.inference.settings import InstanceMethod
from fewshot.inference.support_set import SupportSet
from fewshot.lazily import lazily

instances = lazily("fewshot.inference.instances.predictor")  # imports torch


def with_instances(command: Segment, shots: SupportSet) -> Segment:
    """Turn instances on where the masks number objects, and tell so."""
    if command.instances is not None or shots.objects is None:
        return command
    name = command.inference.predictor
    split: InstanceMethod = "distance"
    if name in ("mask-rcnn", "best-objects"):  # whose classes import torch
        print("the mask has numbered objects; instances are written")
    elif name in ("unet", "fcn"):
        split = "border"
        print("the mask has numbered objects; instances are written, grown from learned insides")
    else:
        print(
            "the mask has numbered objects; instances are written, split by distance (--instances "
            "auto also tries learned borders)"
        )
    return replace(command, instances=split)


def refuse_instance_names(queries: Sequence[Query]) -> None:
    """Refuse queries whose results would have the name of another query's objects.

    Raises:
        DataError: a query is called so.
    """
    for query in queries:
        if stem(query.name).endswith(("_instances", "_instances_overlay")):
            raise DataError(
                f"{query.path} is called like the objects of another image (NAME_instances); "
                "rename it, or leave out --instances"
            )


def number_objects(
    command: Segment, predictor: Any, shots: SupportSet, support: Any, batch: Batch
) -> dict[str, Any]:
    """Learn how objects are told apart, if that is asked for, and have the batch write them.

    Args:
        command: what was typed.
        predictor: segments.
        shots: the annotated images.
        support: what the predictor learned of them.
        batch: of the queries.

    Returns:
        What was chosen, for the summary; empty where no instances are asked for.
    """
    if command.instances is None:
        return {}
    maker = instances.InstancePredictor(predictor, command.instances)
    learned = maker.learn(shots, support)
    print(learned.describe(), flush=True)
    batch.objects = ObjectFiles(
        batch.out, lambda answer: maker.instances(answer.source, learned, answer), command.bowl
    )
    return dict(learned.record())
