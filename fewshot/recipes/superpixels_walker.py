r"""The encoder of superpixels-local, its answers smoothed within the edges of the image.

Neighbouring slices are averaged, a random walker carries evidence up to the edges, and the largest
part of each class stays (docs/refinement.md).

    fewshot benchmark ../shared/data/chaos_t2 \
        --classes 1=liver 2=right_kidney 3=left_kidney 4=spleen \
        --methods superpixels-local superpixels-walker --under alpnet --support all \
        --minutes 3 --out runs/chaos --result docs/results/chaos.json
"""

TRAINED_BY = "superpixels-local"
SETTINGS = {"head": "local", "superpixels": 1.0, "size": 256, "batch": 4, "minutes": 3.0}
TEST = {"depth": 0.7, "smooth": "walker", "walker_length": 8.0, "keep": "largest"}
