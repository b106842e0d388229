r"""ALPNet's local prototypes on superpixel episodes: the defaults of `fewshot train`.

On 20 abdominal T2 scans, two organs and five subjects held out:

    fewshot train ../shared/data/chaos_t2 \
        --classes 1=liver 2=right_kidney 3=left_kidney 4=spleen --novel spleen left_kidney \
        --recipe superpixels-local --out runs/local
    fewshot evaluate runs/local --episodes 400

3 minutes on 2 cores (521 steps), 1,791 MiB.
Dice 64.4 [60.5, 69.9] over 5 subjects; copy-mask 27.3 [14.8, 32.5] (docs/results/first.json).
"""

SETTINGS = {"head": "alpnet", "superpixels": 1.0, "size": 256, "batch": 4, "minutes": 3.0}
