"""What a number was measured with: which model, by which command.

A score is never shown beside another model.

A folder's model is identified by what its files hold, without torch: the fingerprint that was
written with the weights, the settings beside them, and the calibration. A score keeps the identity
of its model under `MEASURED_ON`; code that shows the score calls `why_not_of` first.
"""

import contextlib
import hashlib
import json
import shlex
import sys
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from episodes.errors import ModelError

WEIGHTS, CALIBRATION = "model.safetensors", "calibration.json"
SEGMENTER, EMBEDDING, BASELINE = "segmenter.json", "embedding.json", "baseline.json"
MEASURED_ON = "measured_on"
"""Key of an identity in files that hold scores."""
MAX_HEADER = 10**7  # bytes; the headers of our own files have some 20 kB
AGAIN = "evaluate again with --overwrite"


@dataclass(frozen=True)
class Identity:
    """What a model's scores depend on.

    Attributes:
        fingerprint: of the weights and the head, 16 hexadecimal digits; "" where it was not saved.
        settings: hash of the settings file, without the place that the first weights came from.
        temperature, bias: of the calibration. A temperature changes probabilities, a bias moves
            borders as well.
    """

    fingerprint: str
    settings: str
    temperature: float = 1.0
    bias: float = 0.0

    def content(self) -> dict[str, Any]:
        """Everything, ready for JSON."""
        return asdict(self)


def identify(folder: Path) -> Identity | None:
    """Identify the model in a folder; None where there is none.

    Raises:
        ModelError: one of its files is damaged.
    """
    settings = next((folder / n for n in (SEGMENTER, EMBEDDING) if (folder / n).exists()), None)
    if settings is None or not (folder / WEIGHTS).exists():
        return None
    calibration = folder / CALIBRATION
    fitted = read_settings(calibration) if calibration.exists() else {}
    try:
        return Identity(
            str(_metadata(folder / WEIGHTS).get("fingerprint", "")),
            _hash(read_settings(settings)),
            float(fitted.get("temperature", 1.0)),
            float(fitted.get("bias", 0.0)),
        )
    except (TypeError, ValueError) as error:
        raise ModelError(
            f"{calibration} holds no calibration ({error}); calibrate again, or remove the file"
        ) from error


def measured_on(folder: Path) -> dict[str, Any]:
    """Give what a file of scores has to hold: which model was measured.

    Raises:
        ModelError: there is no model in the folder, or one of its files is damaged.
    """
    found = identify(folder)
    if found is None:
        raise ModelError(
            f"there is no model in {folder}: {SEGMENTER} or {WEIGHTS} is missing; name the folder "
            "that `fewshot train` or `fewshot match train` wrote"
        )
    return {MEASURED_ON: found.content()}


@contextlib.contextmanager
def unchanged(folder: Path) -> Iterator[dict[str, Any]]:
    """Give `measured_on` of a model that is loaded meanwhile, such as while a training goes on.

    Raises:
        ModelError: there is no model in the folder, it is damaged, or it was replaced meanwhile.
    """
    found = measured_on(folder)
    yield found
    if measured_on(folder) != found:
        raise ModelError(f"the model in {folder} was replaced while it was read; try again")


def why_not_of(scores: Mapping[str, Any], folder: Path) -> str:
    """Reason why scores are not those of the folder's current model; "" if they are.

    Args:
        scores: content of a file of scores.
        folder: of the model.

    Raises:
        ModelError: one of the model's files is damaged.
    """
    stored = scores.get(MEASURED_ON)
    if not isinstance(stored, Mapping):
        return f"the score's model was not recorded, {AGAIN}"
    now = identify(folder)
    if now is None:
        return f"measured on a model (fingerprint {stored.get('fingerprint')}) that is gone"
    if not now.fingerprint or stored.get("fingerprint") != now.fingerprint:
        return (
            f"measured on another model (fingerprint {stored.get('fingerprint')}, now "
            f"{now.fingerprint or 'not recorded'}), {AGAIN}"
        )
    if stored.get("settings") != now.settings:
        return f"measured with other settings of the model (fingerprint {now.fingerprint}), {AGAIN}"
    if stored.get("bias") != now.bias:
        return f"measured before the model was calibrated with another bias, {AGAIN}"
    return ""  # a temperature alone moves no border


def _hash(settings: Mapping[str, Any]) -> str:
    """Hash settings as they stand in their file."""
    kept = {name: value for name, value in settings.items() if name != "format"}
    if isinstance(encoder := kept.get("encoder"), Mapping):
        kept["encoder"] = {name: v for name, v in encoder.items() if name != "weights"}
    return hashlib.sha256(json.dumps(kept, sort_keys=True).encode()).hexdigest()[:16]


def _metadata(path: Path) -> dict[str, Any]:
    """Read the metadata of a safetensors file, without its tensors.

    Raises:
        ModelError: it is damaged.
    """
    try:
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            if length > MAX_HEADER:
                raise ValueError(f"it declares a header of {length:,} bytes")
            found = json.loads(file.read(length)).get("__metadata__", {})
            return dict(found)
    except (OSError, ValueError, TypeError, AttributeError, RecursionError) as error:
        raise ModelError(
            f"{path} cannot be read ({error}); copy it again, or train again"
        ) from error


def read_settings(path: Path) -> dict[str, Any]:
    """Read a JSON object of bounded size.

    Raises:
        ModelError: the file is missing, damaged or too large.
    """
    try:
        if path.stat().st_size > MAX_HEADER:
            raise ModelError(f"{path} has {path.stat().st_size:,} bytes; expected a short file")
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ModelError(
            f"there is no model in {path.parent}: {path.name} is missing; "
            "name the folder that `fewshot train` or `fewshot match train` wrote"
        ) from None
    except (OSError, ValueError, RecursionError) as error:
        raise ModelError(f"{path} cannot be read: {error}") from error
    if not isinstance(content, dict):
        raise ModelError(f"{path} holds no settings; expected an object")
    return content


_COMMANDS = (("fewshot", "cli", "main.py"), ("fewshot", "__main__.py"))
"""Ends of the paths under which `python -m` starts the command."""


def typed_command() -> str:
    """The command as the user typed it; `python -m fewshot` is `fewshot`."""
    typed = Path(sys.argv[0])
    if any(typed.parts[-len(end) :] == end for end in _COMMANDS):
        words = ["fewshot"]
    elif typed.suffix == ".py":
        words = ["python", typed.name if typed.is_absolute() else typed.as_posix()]
    else:
        words = [typed.name]
    return shlex.join([*words, *sys.argv[1:]])
