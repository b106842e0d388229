r"""PANet as published: one prototype a class, and the alignment of support and query.

A peer in the table of docs/results/chaos.json: superpixels-panet with the budget of the other peers
in steps, so that a busy machine makes no difference.

    fewshot train ../shared/data/chaos_t2 \
        --classes 1=liver 2=right_kidney 3=left_kidney 4=spleen --novel spleen left_kidney \
        --recipe panet --out runs/panet

500 steps, about 3 minutes on 2 cores.

Paper: Wang et al., PANet: few-shot image semantic segmentation with prototype alignment, ICCV 2019.
"""

SETTINGS = {
    "head": "prototypical",
    "superpixels": 1.0,
    "size": 256,
    "batch": 4,
    "minutes": 0.0,
    "steps": 500,
}
