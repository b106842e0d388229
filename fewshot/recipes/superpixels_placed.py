r"""The encoder of superpixels-local; the query's own look has a say where registration is sure.

As superpixels-walker, and volumes are laid over each other, so that the query learns prototypes of
its own where the class surely lies (docs/refinement.md): for organs that look different in some
subjects.

    fewshot benchmark ../shared/data/chaos_t2 \
        --classes 1=liver 2=right_kidney 3=left_kidney 4=spleen \
        --methods superpixels-local superpixels-walker superpixels-placed --under alpnet \
        --support all --exclude none --out runs/chaos --result docs/results/chaos.json \
        --part setting_1
"""

from fewshot.recipes import superpixels_walker

TRAINED_BY = superpixels_walker.TRAINED_BY
SETTINGS = superpixels_walker.SETTINGS
TEST = {**superpixels_walker.TEST, "fuse": "placed slices"}
