r"""The encoder of superpixels-local; every fold chooses its settings on its own training scans.

As alpnet-registered, and some training scans, which need no annotation, propagate the annotated
class (docs/refinement.md). What costs most to get wrong is chosen anew inside each fold, on
training scans alone: the weight of the query's own prototypes, the number of intermediate scans,
the confidence from which the support's features are used, how far the walker goes. The values it
starts from, and all others, were found on scans that some folds test.

    fewshot benchmark ../shared/data/chaos_t2 \
        --classes 1=liver 2=right_kidney 3=left_kidney 4=spleen \
        --methods superpixels-local alpnet-randomwalk alpnet-registered alpnet-registered-nestedcv \
        --protocols alpnet --support all --training-exclusion keep --out runs/chaos \
        --result docs/results/chaos.json --part setting_1 \
        --headline s1_organ_slices_all_supports=alpnet-registered-nestedcv:alpnet:keep

3 minutes of training a fold on 2 cores, and 9 to 15 minutes of one core for choosing; 3,856 MiB,
some 50 ms a slice of one core.
Dice 83.6 [82.2, 84.9] over 20 subjects, every support scan in turn; alpnet-randomwalk 81.2
[77.8, 83.1], copy-mask 45.5 [41.2, 47.7] (docs/results/chaos.json).
"""

from fewshot.recipes import alpnet_registered

TRAINED_BY = alpnet_registered.TRAINED_BY
SETTINGS = alpnet_registered.SETTINGS
TEST = {
    **alpnet_registered.TEST,
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
