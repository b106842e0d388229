r"""ALPNet as published: local prototypes, superpixels, background pixels weighing 0.05.

A peer in docs/results/chaos_peers.json, with the encoder, the episodes and the budget of
superpixels-local; what differs is the loss. The paper trains with windows of 4 and tests with 2;
here both are 2.

    fewshot train ../shared/data/chaos_t2 \
        --classes 1=liver 2=right_kidney 3=left_kidney 4=spleen --novel spleen left_kidney \
        --recipe alpnet --out runs/alpnet

500 steps, about 3 minutes on 2 cores, 1,883 MiB.
Dice 65.1 [61.3, 69.0] over 8 subjects, folds 0 and 1, protocol alpnet, setting 1, every support
scan in turn; superpixels-local 72.4 [67.4, 75.4], copy-mask 43.0 [33.8, 47.8]
(docs/results/chaos_peers.json).

Paper: Ouyang et al., Self-supervision with superpixels, ECCV 2020.
"""

SETTINGS = {
    "head": "alpnet",
    "superpixels": 1.0,
    "size": 256,
    "batch": 4,
    "minutes": 0.0,
    "steps": 500,
    "class_weights": (0.05, 1.0),
}
