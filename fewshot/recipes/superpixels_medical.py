r"""superpixels-local with the changes of medical images: bias fields, histograms, blur, Rician noise."""

SETTINGS = {
    "head": "local",
    "superpixels": 1.0,
    "augment": "medical",
    "size": 256,
    "batch": 4,
    "minutes": 3.0,
}
