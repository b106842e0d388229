"""What was learnt from annotated images, as one file: of a single network, or self-configured."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from torch import Tensor

from episodes.errors import ModelError
from episodes.io.write import atomic_write
from fewshot.inference.predictors.self_configuring import SelfConfigured, SelfConfiguringPredictor
from fewshot.inference.self_configuration.candidates import Fitted
from fewshot.inference.self_configuration.candidates.trained import FittedTrained
from fewshot.inference.self_configuration.configuration import TRAINED, Configuration
from fewshot.models import checkpoint
from fewshot.models.heads import Support
from fewshot.models.network import FewShotNetwork
from fewshot.models.scale import AnnotatedScale

FORMAT = 1
"""Of self-configured supports; a change of what a method keeps raises it."""
_KEY = "self-configured"


def save_support(support: Support | SelfConfigured, path: Path | str) -> Path:
    """Write what was learnt to one safetensors file.

    Args:
        support: of `Segmenter.learn`, or of the predictor self-configuring.
        path: of the file; it appears whole or not at all. Of a network that took part it keeps the
            fingerprint alone.

    Raises:
        DataError: the file cannot be written.
    """
    if isinstance(support, Support):
        return checkpoint.save_support(support, path)
    trained = support.fitted.get(TRAINED)
    about = {
        "format": FORMAT,
        "class_names": list(support.names),
        "values": list(support.values),
        "configuration": support.configuration.record(),
        "annotated": asdict(support.annotated),
        "network": trained.network.fingerprint() if isinstance(trained, FittedTrained) else "",
    }
    tensors = {
        f"{method}.{name}": tensor.detach().cpu().contiguous()
        for method, fitted in support.fitted.items()
        for name, tensor in fitted.tensors().items()
    }
    with atomic_write(Path(path)) as partial:
        checkpoint.write_tensors(tensors, partial, {_KEY: json.dumps(about)})
    return Path(path)


def load_support(
    path: Path | str, network: FewShotNetwork | None = None
) -> Support | SelfConfigured:
    """Load what `save_support` wrote.

    Args:
        path: of the file.
        network: the one that took part, where one did.

    Raises:
        ModelError: the file is missing, damaged or holds something else, or another network took
            part.
    """
    tensors, metadata = checkpoint.read_tensors(Path(path))
    if _KEY not in metadata:
        return checkpoint.load_support(path)
    try:
        about = json.loads(metadata[_KEY])
        if about["format"] != FORMAT:
            raise ValueError(f"its format is {about['format']}, not {FORMAT}")
        configuration = _configuration(about["configuration"])
        if TRAINED in configuration.weights:
            _check_network(path, about["network"], network)
        return SelfConfigured(
            tuple(str(name) for name in about["class_names"]),
            tuple(int(value) for value in about["values"]),
            configuration,
            _fitted(configuration, tensors, network),
            AnnotatedScale(**about["annotated"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise ModelError(f"{path} holds no support ({error!r}); learn it again") from error


def _configuration(record: Mapping[str, Any]) -> Configuration:
    weights, on_copies, on_parts = (
        {str(name): float("nan" if value is None else value) for name, value in each.items()}
        for each in (record["weights"], record["on_copies"], record["on_parts"])
    )
    return Configuration(weights, float(record["bias"]), on_copies, on_parts)


def _fitted(
    configuration: Configuration, tensors: Mapping[str, Tensor], network: FewShotNetwork | None
) -> dict[str, Fitted]:
    candidates = SelfConfiguringPredictor(network).candidates
    parts: dict[str, dict[str, Tensor]] = {method: {} for method in configuration.weights}
    for name, tensor in tensors.items():
        method, _, rest = name.partition(".")
        parts[method][rest] = tensor
    return {method: candidates[method].restore(kept) for method, kept in parts.items()}


def _check_network(path: Path | str, fingerprint: str, network: FewShotNetwork | None) -> None:
    if network is None:
        raise ModelError(f"a trained network took part in {path}; give it as `network`")
    if network.fingerprint() != fingerprint:
        raise ModelError(f"another network took part in {path}; give that one, or learn again")
