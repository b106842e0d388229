"""Save and load networks and supports: safetensors for numbers, JSON for the rest, no pickle."""

import json
import os
import re
import warnings
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import nn

from episodes.errors import FewshotError, ModelError, cause, shorten
from episodes.io.write import atomic_write, make_folder, write_json
from episodes.plugins import plugin_of
from fewshot.models.calibration import Calibration
from fewshot.models.encoder import EncoderSettings
from fewshot.models.heads import HeadSettings, Support
from fewshot.models.heads.base import HeadEntry, find_head, head_entry
from fewshot.models.network import FewShotNetwork, NetworkSettings
from fewshot.models.scale import AnnotatedScale
from fewshot.provenance import CALIBRATION, MAX_HEADER, WEIGHTS, read_settings
from fewshot.provenance import SEGMENTER as SETTINGS
from fewshot.registry import HEADS

_SHOTS, _MIRRORED = "shots.", "mirrored."  # beginnings of names in a support's file
FORMAT = 1


def build_network(settings: NetworkSettings | None = None) -> FewShotNetwork:
    """Make the kind of network that the head's settings are of."""
    settings = settings or NetworkSettings()
    return (head_entry(settings.head).head.network or FewShotNetwork)(settings)


def save_network(network: FewShotNetwork, folder: Path | str) -> Path:
    """Write `segmenter.json` and `model.safetensors` into a folder.

    A calibration goes into `calibration.json`; without one, an old file there is removed. Each
    file appears whole or not at all, so a kill in the middle leaves the checkpoint before.

    Raises:
        DataError: the folder cannot be written.
    """
    folder = make_folder(Path(folder))
    name = head_entry(network.settings.head).name
    content = {"format": FORMAT, **asdict(network.settings)}
    content["head"]["kind"] = name
    plugin = plugin_of(HEADS.module_of(name))
    if plugin is not None:
        content["head"]["plugin"] = plugin.content()
    write_json(folder / SETTINGS, content)
    tensors = {name: t.detach().cpu().contiguous() for name, t in network.state_dict().items()}
    with atomic_write(folder / WEIGHTS) as partial:
        write_tensors(tensors, partial, {"fingerprint": network.fingerprint()})
    save_calibration(network.calibration, folder)
    return folder


def save_calibration(calibration: Calibration, folder: Path | str) -> None:
    """Write `calibration.json` beside a model; the neutral one is kept by having no such file.

    Raises:
        DataError: the folder cannot be written.
    """
    path = Path(folder) / CALIBRATION
    if calibration == Calibration():
        path.unlink(missing_ok=True)
    else:
        write_json(path, asdict(calibration))


def load_network(folder: Path | str) -> FewShotNetwork:
    """Load what `save_network` wrote.

    Raises:
        ModelError: a file is missing, damaged, of another format, or does not fit the settings.
    """
    folder = Path(folder)
    content = read_settings(folder / SETTINGS)
    try:
        if content.pop("format") != FORMAT:
            raise ValueError(f"its format is not {FORMAT}")
        encoder = content.pop("encoder")
        encoder["strides"] = tuple(encoder["strides"])
        settings = NetworkSettings(
            # The weights come from the checkpoint: nothing has to be downloaded.
            encoder=EncoderSettings(**{**encoder, "weights": "none"}),
            head=_read_head(content.pop("head"), folder),
            **content,
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        if isinstance(error, FewshotError):
            raise
        raise ModelError(
            f"{folder / SETTINGS} does not describe a segmenter ({error!r}); "
            "save the model again with this version"
        ) from error
    network = build_network(settings)
    load_weights(network, folder / WEIGHTS, SETTINGS)
    network.calibration = _read_calibration(folder / CALIBRATION)
    network.from_folder = True
    return network.eval()


def _read_head(content: dict[str, Any], folder: Path) -> HeadSettings:
    """Make the settings of a saved head.

    Raises:
        ModelError: the head is of a plugin that is not there.
    """
    kind, plugin = content.pop("kind"), content.pop("plugin", None)
    entry = _find_head(kind)
    if entry is None:
        way_out = (
            f"it is of the plugin {plugin['file']}: give that with --plugin {plugin['file']}"
            if plugin
            else f"expected one of {shorten(HEADS.names(), 40)}; install the package that adds it"
        )
        raise ModelError(f"{folder} needs the head {kind!r}, which is not there; {way_out}")
    now = plugin_of(HEADS.module_of(entry.name))
    if plugin and now and now.sha256 != plugin["sha256"]:
        warnings.warn(
            f"{folder} was saved with another version of the plugin {plugin['file']} than "
            f"{now.path}, so its results may differ",
            stacklevel=2,
        )
    return type(entry.settings)(**{name: _frozen(value) for name, value in content.items()})


def _find_head(kind: str) -> HeadEntry | None:
    """Find a head by its tag in saved files, today's or an earlier version's."""
    if kind in HEADS:
        return HEADS[kind]
    return find_head(lambda entry: entry.formerly is not None and entry.formerly.tag == kind)


def network_from_pretrained(name: Path | str) -> FewShotNetwork:
    """Load a network from a folder, or from a model hub by `owner/name`.

    Only the files of a segmenter are downloaded; none can hold code.

    Raises:
        ModelError: there is no such model, it cannot be downloaded, or it is damaged.
    """
    if Path(name).is_dir():
        return load_network(name)
    if not re.fullmatch(r"[\w.-]+/[\w.-]+", str(name)):
        raise ModelError(f"{name} is not a folder; expected one, or a hub's owner/name")
    from huggingface_hub import snapshot_download

    from fewshot.models.hub import hub_or_cache, why_not

    try:
        with hub_or_cache():
            folder = snapshot_download(str(name), allow_patterns=[SETTINGS, WEIGHTS, CALIBRATION])
    except (OSError, ValueError) as error:  # the hub's and the network's errors derive from it
        raise ModelError(f"{why_not(str(name))}; or give a folder that holds the model") from error
    return load_network(folder)


def save_support(support: Support, path: Path | str) -> Path:
    """Write a condensed support to one safetensors file.

    Raises:
        DataError: the file cannot be written.
    """
    about = {
        "format": FORMAT,
        "class_names": list(support.class_names),
        "values": list(support.values),
        "model": support.model,
        "size": support.size,
        **({"annotated": asdict(support.annotated)} if support.annotated else {}),
    }
    named = {**support.tensors, **{_SHOTS + name: t for name, t in support.shots.items()}}
    if support.mirrored is not None:
        named |= {_MIRRORED + name: t for name, t in support.mirrored.tensors.items()}
    tensors = {name: t.detach().cpu().contiguous() for name, t in named.items()}
    with atomic_write(Path(path)) as partial:
        write_tensors(tensors, partial, {"support": json.dumps(about)})
    return Path(path)


def load_support(path: Path | str) -> Support:
    """Load what `save_support` wrote.

    Raises:
        ModelError: the file is missing, damaged or holds something else.
    """
    tensors, metadata = read_tensors(Path(path))
    try:
        about = json.loads(metadata["support"])
        if about["format"] != FORMAT:
            raise ValueError(f"its format is {about['format']}, not {FORMAT}")
        support = Support(
            _beginning("", tensors),
            tuple(str(name) for name in about["class_names"]),
            tuple(int(value) for value in about["values"]),
            str(about["model"]),
            int(about["size"]),
            _beginning(_SHOTS, tensors),
            annotated=AnnotatedScale(**about["annotated"]) if "annotated" in about else None,
        )
        mirrored = _beginning(_MIRRORED, tensors)
        return replace(support, mirrored=Support(mirrored) if mirrored else None)
    except (KeyError, TypeError, ValueError) as error:
        raise ModelError(f"{path} holds no support ({error!r}); learn it again") from error


def _beginning(start: str, tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Select tensors by the beginning of their names, which is cut off; "" selects the head's."""
    if start:
        return {n.removeprefix(start): t for n, t in tensors.items() if n.startswith(start)}
    return {n: t for n, t in tensors.items() if not n.startswith((_SHOTS, _MIRRORED))}


def _read_calibration(path: Path) -> Calibration:
    if not path.exists():
        return Calibration()
    content = read_settings(path)
    try:
        return Calibration(**{name: float(value) for name, value in content.items()})
    except (TypeError, ValueError) as error:
        raise ModelError(
            f"{path} holds no calibration ({error}); calibrate again, or remove the file"
        ) from error


def _frozen(value: Any) -> Any:
    """Settings hold tuples, of which JSON makes lists."""
    return tuple(value) if isinstance(value, list) else value


def load_weights(module: nn.Module, path: Path, settings: str) -> None:
    """Load a safetensors file into a module that was built from the settings beside it.

    Args:
        module: changed in place.
        path: the weights.
        settings: name of the settings' file, for the message.

    Raises:
        ModelError: the file is missing or damaged, or does not fit the module.
    """
    tensors, _ = read_tensors(path)
    expected = module.state_dict()
    wrong = [
        name
        for name in {*expected, *tensors}
        if name not in tensors
        or name not in expected
        or tensors[name].shape != expected[name].shape
    ]
    if wrong:
        raise ModelError(
            f"{path} does not fit {settings} in {len(wrong)} tensors, "
            f"e.g. {sorted(wrong)[0]}; both files have to be of one model"
        )
    module.load_state_dict(tensors)


def read_tensors(path: Path) -> tuple[dict[str, torch.Tensor], dict[str, str]]:
    """Read a safetensors file whose header was checked against the file's size first."""
    try:
        size = os.path.getsize(path)
        with path.open("rb") as file:
            header = int.from_bytes(file.read(8), "little")
        if header > min(MAX_HEADER, size - 8):
            raise ModelError(
                f"{path} declares a header of {header:,} bytes in {size:,}; it is damaged or "
                "no safetensors file. Copy it again"
            )
        with safe_open(path, framework="pt", device="cpu") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            return tensors, file.metadata() or {}
    except FileNotFoundError:
        raise ModelError(f"there is no file {path}; name what was saved") from None
    except (OSError, SafetensorError, ValueError) as error:
        if isinstance(error, ModelError):
            raise
        raise ModelError(f"{path} cannot be read: {cause(error)}") from error


def write_tensors(tensors: dict[str, torch.Tensor], path: Path, metadata: dict[str, str]) -> None:
    """Write a safetensors file; a disk that is full or gone is an OSError."""
    try:
        save_file(tensors, path, metadata=metadata)
    except SafetensorError as error:  # its only cause here is the disk, so it is reported as one
        raise OSError(str(error)) from error
