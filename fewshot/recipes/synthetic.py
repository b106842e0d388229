r"""Generated episodes alone, as a start for data sets of very few images."""

SETTINGS = {
    "head": "local",
    "superpixels": 0.0,
    "synthetic": 1.0,
    "size": 256,
    "batch": 4,
    "minutes": 1.5,
}
