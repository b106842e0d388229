r"""The encoder of superpixels-local; every fold chooses its settings on its own training scans.

As superpixels-placed, and some training scans, which need no annotation, pass the annotated class
on (docs/refinement.md). What costs most to get wrong is chosen anew inside each fold, so that no
test scan has a say in it: whether the query's own look and the relays are asked, when the support's
look is believed, how far the walker goes.
"""

from fewshot.recipes import superpixels_placed

TRAINED_BY = superpixels_placed.TRAINED_BY
SETTINGS = superpixels_placed.SETTINGS
TEST = {**superpixels_placed.TEST, "relays": 0, "own_say": 0.5, "own_fits": 0.85}
AMONG = {
    "relays": (0, 3),
    "own_say": (0.0, 0.3, 0.5),
    "own_fits": (0.0, 0.7, 0.85),
    "walker_length": (8.0, 12.0),
    "threshold": (0.4, 0.5),
}
