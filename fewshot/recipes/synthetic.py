r"""Generated episodes alone: a start that needs no images, to be tuned on the few there are.

Three of 20 abdominal T2 scans to train on, two organs held out:

    fewshot train ../shared/data/chaos_t2 \
        --classes 1=liver 2=right_kidney 3=left_kidney 4=spleen --novel spleen left_kidney \
        --test-share 0.85 --recipe synthetic --out runs/few_pre
    fewshot train ../shared/data/chaos_t2 \
        --classes 1=liver 2=right_kidney 3=left_kidney 4=spleen --novel spleen left_kidney \
        --test-share 0.85 --recipe superpixels-local --minutes 1.5 --model runs/few_pre \
        --out runs/few_tuned
    fewshot evaluate runs/few_tuned --episodes 200

1.5 minutes on 2 cores (228 steps) and 1.5 minutes more (253 steps), 1,754 MiB.
Dice 62.4 [57.2, 66.7] over 17 subjects; copy-mask 33.2 [27.9, 37.8]
(docs/results/few_subjects_pretrained.json). The same 3 minutes on superpixels alone give 62.7
[56.3, 66.9]: with ImageNet weights to start from, pretraining brings nothing here.
"""

SETTINGS = {
    "head": "alpnet",
    "superpixels": 0.0,
    "synthetic": 1.0,
    "size": 256,
    "batch": 4,
    "minutes": 1.5,
}
