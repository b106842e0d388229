r"""ADNet as published: a learned threshold around one foreground prototype, on supervoxels.

A peer in the table of docs/results/chaos_peers.json, with the encoder and the budget of
superpixels-local. Support and query are neighbouring slices that show one supervoxel; background
pixels weigh 0.1, and the threshold is part of the loss.

    fewshot train ../shared/data/chaos_t2 \
        --classes 1=liver 2=right_kidney 3=left_kidney 4=spleen --novel spleen left_kidney \
        --recipe adnet --out runs/adnet

500 steps, about 3 minutes on 2 cores, 2,069 MiB.
Dice 63.3 [56.9, 67.2] over 8 subjects, folds 0 and 1, protocol alpnet, setting 1, every support
scan in turn; superpixels-local 72.4 [67.4, 75.4], copy-mask 43.0 [33.8, 47.8]
(docs/results/chaos_peers.json).

Paper: Hansen et al., Anomaly detection-inspired few-shot medical image segmentation through
self-supervision with supervoxels, Medical Image Analysis 2022.
"""

SETTINGS = {
    "head": "adnet",
    "supervoxels": 1.0,
    "size": 256,
    "batch": 4,
    "minutes": 0.0,
    "steps": 500,
}
