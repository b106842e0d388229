"""Few-shot segmentation: encoder, heads, segmenter, training and evaluation.

    from fewshot import Segmenter

    segmenter = Segmenter()
    support = segmenter.learn("cell.png", "cell_mask.png")
    segmenter.segment("another.png", support).save("another_mask.png")

The names below are imported when they are first used, because torch takes seconds to import.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:  # for editors and type checkers
    from fewshot.inference.result import Segmentation
    from fewshot.inference.segmenter import Segmenter
    from fewshot.models.checkpoint import load_network, load_support, save_network, save_support
    from fewshot.models.heads import Support
    from fewshot.models.network import FewShotNetwork, NetworkSettings

__version__ = "0.1.0"

_WHERE = {
    "FewShotNetwork": "fewshot.models.network",
    "NetworkSettings": "fewshot.models.network",
    "Segmentation": "fewshot.inference.result",
    "Segmenter": "fewshot.inference.segmenter",
    "Support": "fewshot.models.heads",
    "load_network": "fewshot.models.checkpoint",
    "load_support": "fewshot.models.checkpoint",
    "save_network": "fewshot.models.checkpoint",
    "save_support": "fewshot.models.checkpoint",
}

__all__ = [
    "FewShotNetwork",
    "NetworkSettings",
    "Segmentation",
    "Segmenter",
    "Support",
    "__version__",
    "load_network",
    "load_support",
    "save_network",
    "save_support",
]


def __getattr__(name: str) -> object:
    if name not in _WHERE:
        raise AttributeError(f"module 'fewshot' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_WHERE[name]), name)
