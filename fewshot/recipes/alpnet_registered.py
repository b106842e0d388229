r"""The encoder of superpixels-local; registration and prototypes of the query itself.

As alpnet-randomwalk, and volumes are registered, so that the query has prototypes of
its own where the class surely lies (docs/refinement.md): for organs that look different in some
subjects.

    fewshot benchmark ../shared/data/chaos_t2 \
        --classes 1=liver 2=right_kidney 3=left_kidney 4=spleen \
        --methods superpixels-local alpnet-randomwalk alpnet-registered --protocols alpnet \
        --support all --training-exclusion keep --out runs/chaos --result docs/results/chaos.json \
        --part setting_1 \
        --headline s1_organ_slices_all_supports=alpnet-registered:alpnet:keep

3 minutes of training a fold on 2 cores, 5,715 MiB when scoring with what is remembered, some 80 ms
a slice of one core.
Dice 83.7 [82.2, 84.9] over 20 subjects, every support scan in turn; alpnet-randomwalk 81.2
[77.8, 83.1], copy-mask 45.5 [41.2, 47.7] (docs/results/chaos.json). On the bright side:
its settings were not chosen inside training folds (docs/refinement.md).
"""

from fewshot.recipes import alpnet_randomwalk

TRAINED_BY = alpnet_randomwalk.TRAINED_BY
SETTINGS = alpnet_randomwalk.SETTINGS
TEST = {**alpnet_randomwalk.TEST, "predictor": "registered-slice"}
