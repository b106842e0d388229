"""Classical segmentation and trained networks: what few-shot methods are compared with.

    from fewshot import baselines

    fitted = baselines.fit("watershed", "cell.png", "cell_mask.png")
    fitted.segment("another.png").save("another_mask.png")

A baseline is one file: a class that registers by `register_predictor` and follows `ImagePredictor`,
`SearchedPredictor` where it has parameters to search, or `DeepPredictor` where it is a network to
be trained. docs/baselines.md lists them.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
