r"""Supervised: episodes of the labels of base classes, with ALPNet's local prototypes.

On 20 abdominal T2 scans, two organs and five subjects held out, the other two organs labelled:

    fewshot train ../shared/data/chaos_t2 \
        --classes 1=liver 2=right_kidney 3=left_kidney 4=spleen --novel spleen left_kidney \
        --recipe labels-local --out runs/labels
    fewshot evaluate runs/labels --episodes 400
"""

SETTINGS = {"head": "local", "superpixels": 0.0, "size": 256, "batch": 4, "minutes": 3.0}
