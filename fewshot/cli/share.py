"""`fewshot share`: a model in a folder that others can load, with its card; and as ONNX."""

from pathlib import Path

from episodes.catalog.class_names import parse_names
from episodes.errors import DataError, shorten
from episodes.io.write import atomic_write, make_folder
from fewshot.cli.options import Share
from fewshot.experiments.model_card import model_card
from fewshot.inference.onnx import export_onnx
from fewshot.inference.segmenter import Segmenter
from fewshot.inference.support_set import read_support_set
from fewshot.models.checkpoint import load_network, save_network, save_support
from fewshot.provenance import CALIBRATION, SEGMENTER, WEIGHTS, unchanged
from fewshot.training.folder import is_run, refuse_part, remove

CARD, SUPPORT, GRAPH = "README.md", "support.safetensors", "segment.onnx"
_MARK = "library_name: fewshot-segmentation"
"""A line that every card has, and by which a folder is known as shared before."""


def share(command: Share) -> int:
    """Copy the model through a check of it, write the card, and the graph if asked for.

    Raises:
        DataError: the folder holds a run, other files of these names, or a shared model that may
            not be replaced; or the model's folder is no run's.
    """
    old = _left(command.out)
    refuse_folder(command.out, old, overwrite=command.output.overwrite)
    with unchanged(command.model):
        segmenter = Segmenter(load_network(command.model))
        card = model_card(command.model, command.name or command.out.name, command.licence)
    support = None
    if command.support:
        label_map = parse_names(command.masks.classes)
        shots = read_support_set(
            *(list(command.support), list(command.mask), label_map),
            ignore_affine=command.masks.ignore_affine,
        )
        support = segmenter.learn_shots(shots)
    out = make_folder(command.out)
    remove(old, out)  # all of it: support, graph and scores would be of another model
    with atomic_write(out / CARD) as partial:
        partial.write_text(card, "utf-8")
    save_network(segmenter.network, out)
    written = [SEGMENTER, WEIGHTS, CARD]
    if support is not None:
        save_support(support, out / SUPPORT)
        export_onnx(segmenter.network, support, out / GRAPH)
        written += [SUPPORT, GRAPH]
    print(f"{', '.join(written)} in {out}\nload it with Segmenter.from_pretrained({str(out)!r})")
    return 0


def refuse_folder(out: Path, old: list[Path], *, overwrite: bool) -> None:
    """Refuse a folder in which something would be lost.

    Args:
        out: folder to share.
        old: files there that would be replaced.
        overwrite: whether a model that was shared there may be replaced.

    Raises:
        DataError: it is a run's, its files are not those of a shared model, or may not be replaced.
    """
    refuse_part(out)
    if is_run(out):
        raise DataError(f"--out {out} is the folder of a run; share into a folder of its own")
    if not old:
        return
    names = shorten([path.name for path in old], 3)
    if not _is_shared(out):
        raise DataError(
            f"{out} holds {names}, but no card that `fewshot share` wrote; choose another --out"
        )
    if not overwrite:
        raise DataError(
            f"{out} holds a shared model ({names}); replace it with --overwrite, or choose another "
            "--out"
        )


def _left(out: Path) -> list[Path]:
    """List what is there of what sharing writes; the card, by which it is known, goes last."""
    names = (SUPPORT, GRAPH, f"{GRAPH}.data", CALIBRATION, WEIGHTS, SEGMENTER, CARD)
    return [out / name for name in names if (out / name).exists()]


def _is_shared(out: Path) -> bool:
    """Whether the card there is one of ours."""
    card = out / CARD
    return card.exists() and _MARK in card.read_bytes()[:1000].decode("utf-8", "replace")
