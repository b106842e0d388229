"""Few-shot segmentation: encoder, heads, segmenter, training and evaluation.

    from fewshot import Segmenter

    segmenter = Segmenter()
    support = segmenter.learn("cell.png", "cell_mask.png")
    segmenter.segment("another.png", support).save("another_mask.png")

The names below are imported when they are first used, because torch takes seconds to import.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:  # for editors and type checkers
    from fewshot.heads import Support
    from fewshot.saving import load_segmenter, load_support, save_segmenter, save_support
    from fewshot.segmentation import Segmentation
    from fewshot.segmenter import Segmenter, SegmenterSettings

__version__ = "0.1.0"

_WHERE = {
    "Segmentation": "fewshot.segmentation",
    "Segmenter": "fewshot.segmenter",
    "SegmenterSettings": "fewshot.segmenter",
    "Support": "fewshot.heads",
    "load_segmenter": "fewshot.saving",
    "load_support": "fewshot.saving",
    "save_segmenter": "fewshot.saving",
    "save_support": "fewshot.saving",
}

__all__ = [
    "Segmentation",
    "Segmenter",
    "SegmenterSettings",
    "Support",
    "__version__",
    "load_segmenter",
    "load_support",
    "save_segmenter",
    "save_support",
]


def __getattr__(name: str) -> object:
    if name not in _WHERE:
        raise AttributeError(f"module 'fewshot' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_WHERE[name]), name)
