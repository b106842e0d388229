"""A trained network as two files: weights in safetensors, all else in JSON."""

from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from torch import nn

from episodes.errors import ModelError
from episodes.io.write import atomic_write, make_folder, write_json
from fewshot.baselines.deep.settings import DeepSettings
from fewshot.models.checkpoint import read_tensors, write_tensors
from fewshot.provenance import BASELINE, WEIGHTS, read_settings

FORMAT = 1


def save_trained(network: nn.Module, about: Mapping[str, Any], folder: Path) -> None:
    """Write a network.

    Args:
        network: with its weights.
        about: plain values, and the settings.
        folder: made where it does not exist.

    Raises:
        DataError: the folder cannot be written.
    """
    make_folder(folder)
    settings: DeepSettings = about["settings"]
    content = {"format": FORMAT, **about, "settings": asdict(replace(settings, run=""))}
    tensors = {name: each.cpu().contiguous() for name, each in network.state_dict().items()}
    with atomic_write(folder / WEIGHTS) as partial:
        write_tensors(tensors, partial, {})
    write_json(folder / BASELINE, content)


def read_trained(folder: Path) -> dict[str, Any]:
    """Read what was written beside the weights.

    Raises:
        ModelError: it is missing, damaged, or of another version.
    """
    path = folder / BASELINE
    content = read_settings(path)
    kinds = {"name": str, "names": list, "values": list, "colour": bool, "settings": dict}
    kinds["extras"] = list
    wrong = [key for key, kind in kinds.items() if not isinstance(content.get(key), kind)]
    if content.get("format") != FORMAT or wrong:
        raise ModelError(
            f"{path} has the format {content.get('format')} and no {', '.join(wrong) or 'error'}; "
            f"expected format {FORMAT}; train again"
        )
    return content


def load_weights(network: nn.Module, folder: Path) -> None:
    """Load weights into a network of the same build.

    Raises:
        ModelError: they are missing, damaged or another network's.
    """
    tensors, _ = read_tensors(folder / WEIGHTS)
    try:
        network.load_state_dict(tensors)
    except RuntimeError as error:
        reason = str(error).splitlines()[-1].strip()
        raise ModelError(
            f"{folder / WEIGHTS} does not fit {folder / BASELINE} ({reason}); both files have to "
            "be of one network"
        ) from error


def tuples(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Give values of JSON as settings have them, lists as tuples.

    >>> tuples({"decoder": [8, 4]})
    {'decoder': (8, 4)}
    """
    return {k: tuple(v) if isinstance(v, list) else v for k, v in settings.items()}
