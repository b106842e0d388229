r"""The encoder of superpixels-local; every fold chooses its settings on its own training scans.

As superpixels-placed, and some training scans, which need no annotation, pass the annotated class
on (docs/refinement.md). What costs most to get wrong is chosen anew inside each fold, so that no
test scan has a say in it: whether the query's own look and the relays are asked, when the support's
look is believed, how far the walker goes. The values it starts from, and all others, were found
on scans that some folds test.

    fewshot benchmark ../shared/data/chaos_t2 \
        --classes 1=liver 2=right_kidney 3=left_kidney 4=spleen \
        --methods superpixels-local superpixels-walker superpixels-placed superpixels-chosen \
        --protocols alpnet --support all --training-exclusion keep --out runs/chaos \
        --result docs/results/chaos.json --part setting_1 \
        --headline s1_organ_slices_all_supports=superpixels-chosen:alpnet:keep

3 minutes of training a fold on 2 cores, and 9 to 15 minutes of one core for choosing; 3,856 MiB,
some 50 ms a slice of one core.
Dice 83.6 [82.2, 84.9] over 20 subjects, every support scan in turn; superpixels-walker 81.2
[77.8, 83.1], copy-mask 45.5 [41.2, 47.7] (docs/results/chaos.json).
"""

from fewshot.recipes import superpixels_placed

TRAINED_BY = superpixels_placed.TRAINED_BY
SETTINGS = superpixels_placed.SETTINGS
TEST = {
    **superpixels_placed.TEST,
    "intermediates": 0,
    "self_support_weight": 0.5,
    "min_support_confidence": 0.85,
}
AMONG = {
    "intermediates": (0, 3),
    "self_support_weight": (0.0, 0.3, 0.5),
    "min_support_confidence": (0.0, 0.7, 0.85),
    "walker_length": (8.0, 12.0),
    "threshold": (0.4, 0.5),
}
