"""Measured catalogs of volumes without pixels: only what slice shows what matters here."""

from pathlib import Path

from episodes.catalog.catalog import Catalog, Sample
from episodes.io.pixels import PixelRef


def scan(subject, *shown):
    """A volume; each argument names the classes of one slice, e.g. "", "a", "ab"."""
    path = Path(f"image_{subject}.nii.gz")
    return [
        Sample(
            f"{subject}#{plane}",
            PixelRef(path, plane),
            (),
            str(subject),
            (8, 8),
            dict.fromkeys(names, 4),
        )
        for plane, names in enumerate(shown)
    ]


def volumes(*scans, classes=("a", "b")):
    return Catalog(tuple(sample for one in scans for sample in one), classes, "toy")


def ten_scans():
    """Scans 1 to 10 of 12 slices; class a in slices 2 to 9, class b in 5 and 6."""
    shown = ["", "", *["a"] * 3, "ab", "ab", *["a"] * 3, "", ""]
    return volumes(*(scan(number, *shown) for number in range(1, 11)))
