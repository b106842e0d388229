r"""PANet's prototypes, one a class, on superpixel episodes.

On 20 abdominal T2 scans, two organs and five subjects held out:

    fewshot train ../shared/data/chaos_t2 \
        --classes 1=liver 2=right_kidney 3=left_kidney 4=spleen --novel spleen left_kidney \
        --recipe superpixels-panet --out runs/panet
    fewshot evaluate runs/panet --episodes 400

3 minutes on 2 cores (545 steps), 1,830 MiB.
Dice 40.5 [35.6, 49.5] over 5 subjects; copy-mask 27.3 [14.8, 32.5]
(docs/results/chaos_prototypical.json).
"""

SETTINGS = {"head": "panet", "superpixels": 1.0, "size": 256, "batch": 4, "minutes": 3.0}
