r"""The encoder of superpixels-local; volumes are registered, and compared in place.

For whole volumes whose truth chooses nothing: every position of the query gets a place in the
annotated volume, and is compared with what lies near it (docs/matching.md). Refined as
alpnet-randomwalk.

    fewshot benchmark ../shared/data/chaos_t2 \
        --classes 1=liver 2=right_kidney 3=left_kidney 4=spleen \
        --methods volume-registered --protocols full-slices full-volume --support published \
        --training-exclusion keep --folds 0 1 2 3 4 --seeds 0 --minutes 3 --out runs/chaos \
        --headline s1_whole_volume_3_slices=volume-registered:full-slices:keep \
        s1_whole_volume_1_volume=volume-registered:full-volume:keep \
        --result docs/results/chaos.json

3 minutes of training a fold on 2 cores, about 1,600 MiB when segmenting, some 10 seconds of a
core a volume and organ.
Dice 82.4 [78.4, 85.1] over 20 subjects with one annotated volume, 80.6 [76.3, 83.4] with
three annotated slices of it; copy-mask 37.4 [32.1, 41.9] (docs/results/chaos.json).
"""

from fewshot.recipes import alpnet_randomwalk

TRAINED_BY = alpnet_randomwalk.TRAINED_BY
SETTINGS = alpnet_randomwalk.SETTINGS
TEST = {**alpnet_randomwalk.TEST, "predictor": "registered-volume"}
