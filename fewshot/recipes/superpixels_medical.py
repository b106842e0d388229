r"""superpixels-local with changes as scanners make them: bias fields, histograms, Rician noise."""

SETTINGS = {
    "head": "local",
    "superpixels": 1.0,
    "augment": "medical",
    "size": 256,
    "batch": 4,
    "minutes": 3.0,
}
