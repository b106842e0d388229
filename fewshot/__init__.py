"""Few-shot segmentation: segmenter, networks, training, evaluation and matching.

    from fewshot import Segmenter

    segmenter = Segmenter()
    support = segmenter.learn("cell.png", "cell_mask.png")
    segmenter.segment("another.png", support).save("another_mask.png")

docs/api.md lists the names below by task; scores are in `fewshot.metrics`, losses in
`fewshot.losses`. They are imported when they are first used, because torch takes seconds to import.
"""

import lazy_loader

__version__ = "0.1.0"

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
