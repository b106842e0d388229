r"""Supervised: episodes of the labels of base classes, with ALPNet's local prototypes.

On 20 abdominal T2 scans, two organs and five subjects held out, the other two organs labelled:

    fewshot train ../shared/data/chaos_t2 \
        --classes 1=liver 2=right_kidney 3=left_kidney 4=spleen --novel spleen left_kidney \
        --recipe labels-local --out runs/labels
    fewshot evaluate runs/labels --episodes 400

3 minutes on 2 cores (405 steps, while other work ran), 2,103 MiB.
Dice 56.2 [48.4, 65.3] over 5 subjects; copy-mask 27.3 [14.8, 32.5]
(docs/results/chaos_labels.json).
Superpixels, which need no label, reach 64.4: two organs teach less than many superpixels do.
"""

SETTINGS = {"head": "alpnet", "superpixels": 0.0, "size": 256, "batch": 4, "minutes": 3.0}
