r"""ANIL, a linear layer fitted to each support set, on superpixel episodes.

On 20 abdominal T2 scans, two organs and five subjects held out:

    fewshot train ../shared/data/chaos_t2 \
        --classes 1=liver 2=right_kidney 3=left_kidney 4=spleen --novel spleen left_kidney \
        --recipe superpixels-anil --out runs/anil
    fewshot evaluate runs/anil --episodes 400

3 minutes on 2 cores (404 steps), 1,984 MiB.
Dice 48.4 [41.1, 57.1] over 5 subjects; copy-mask 27.3 [14.8, 32.5]
(docs/results/chaos_anil.json).
"""

SETTINGS = {"head": "anil", "superpixels": 1.0, "size": 256, "batch": 4, "minutes": 3.0}
