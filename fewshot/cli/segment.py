"""`fewshot segment`: annotated images in, masks of all the others out.

What can be refused is refused here, before torch is imported, which takes longer than all of it.
"""

from dataclasses import asdict, replace

from episodes.catalog.class_names import parse_names
from episodes.errors import DataError
from episodes.io.axes import Reading
from fewshot.archive.batch import Batch, nothing_left
from fewshot.archive.ledger import model_files, settings_hash
from fewshot.archive.object_files import BOWL, COUNTS, OBJECTS
from fewshot.archive.queries import list_queries
from fewshot.cli.instances import refuse_instance_names, with_instances
from fewshot.cli.method_option import with_baseline
from fewshot.cli.options import Segment
from fewshot.cli.startup import wait_quietly, without_collector
from fewshot.inference.postprocessing.settings import FEATURE_STEPS
from fewshot.inference.support_set import SupportSet, read_support_set

_BY_MODEL = "end-to-end"
_OF_A_MODEL = ("model", "size", "coordinates", "tiles", "other_magnification", "adapt")


def segment(command: Segment, default: str = "self-configuring") -> int:
    """Learn from the support, segment every query; one bad query does not stop the others.

    Args:
        command: what was typed.
        default: predictor of images where none is named.

    Raises:
        DataError: the support cannot be used, there is nothing to segment, or queries failed
            (after all others were done).
    """
    queries = list_queries(command.query)
    command = replace(command, inference=with_baseline(command.inference))
    _check_options(command)
    shots = read_support_set(
        *(list(command.support), list(command.mask), parse_names(command.masks.classes)),
        ignore_affine=command.masks.ignore_affine,
        reading=Reading(command.axes, command.channels),
        instances=command.instances is not None,
    )
    command = with_instances(_with_predictor(command, shots, default), shots)
    reserved = [f"{name}.safetensors" for name in command.support_names()]
    if command.instances is not None:
        reserved += [OBJECTS, COUNTS, BOWL]
        refuse_instance_names(queries)
    batch = Batch(queries, command.out, _settings(command), reserved, max(shots.values))
    print(*shots.axes(), shots.describe(), sep="\n", flush=True)
    about = batch.earlier_metadata()
    if about is not None:
        return batch.run(nothing_left, about)
    wait_quietly()
    with without_collector():
        from fewshot.cli.segment_files import segment_files  # imports torch
    return segment_files(command, shots, batch)


def _check_options(command: Segment) -> None:
    """Refuse options that exclude each other."""
    inference, name = command.inference, command.inference.predictor or _BY_MODEL
    if inference.zoom and inference.ensemble is not None:
        raise DataError(
            "--zoom learns all annotated images together; leave out --ensemble "
            f"{inference.ensemble}"
        )
    if command.tiles and (inference.zoom or command.other_magnification):
        given = "--zoom" if inference.zoom else "--other-magnification"
        raise DataError(f"--tiles looks at parts of one size; leave out {given}")
    alone = {
        "zoom": inference.zoom is not None and name != "end-to-end",
        "tiles": command.tiles and name != "end-to-end",
        "ensemble": inference.ensemble is not None and name not in ("end-to-end", "slice"),
    }
    if unused := " ".join(f"--{option}" for option, used in alone.items() if used):
        raise DataError(f"--predictor {name} takes no such option; leave out {unused}")
    if command.train_on_queries and (
        command.model or inference.predictor not in (None, "self-configuring")
    ):
        raise DataError(
            "--train-on-queries makes a model for the predictor self-configuring; leave out "
            "--model and --predictor"
        )
    if inference.annotated is not None and name == "end-to-end":
        raise DataError(
            "--annotated says what registered-volume may take as annotated; add --predictor "
            "registered-volume"
        )


def _with_predictor(command: Segment, shots: SupportSet, default: str) -> Segment:
    """Choose the predictor where none is named, and tell why where it is that of a single model.

    Volumes have slices in number, which several methods would take minutes for.
    """
    if command.inference.predictor is not None:
        return command
    reasons = [f"--{name}" for name in _OF_A_MODEL if getattr(command, name)]
    for group, names in (
        (command.inference, ("ensemble", "zoom")),
        (command.inference.postprocess, FEATURE_STEPS),
    ):
        plain = type(group)()
        reasons += [f"--{n}" for n in names if getattr(group, n) != getattr(plain, n)]
    if command.train_on_queries and reasons:
        raise DataError(
            "--train-on-queries makes one of several methods, but a single model is asked for; "
            f"leave out {', '.join(reasons).replace('_', '-')}"
        )
    if any(picture.volume for picture in shots.pictures) and not command.train_on_queries:
        reasons.append("a volume")
    if reasons:
        given = ", ".join(reasons).replace("_", "-")
        print(f"segmented by a single model (end-to-end), because of {given}; --predictor decides")
    if command.inference.method:
        default = "self-configuring"
    name = _BY_MODEL if reasons else default
    return replace(command, inference=replace(command.inference, predictor=name))


def _settings(command: Segment) -> str:
    """Hash what the masks depend on."""
    left_out = ("query", "out", "output", "support", "mask", "model")
    options = {name: value for name, value in asdict(command).items() if name not in left_out}
    files = [*command.support, *command.mask, *model_files(command.model)]
    return settings_hash(options, files)
