"""Contact sheets of the classes of a catalog: some images of each with their masks."""

from collections.abc import Iterator

import numpy as np

from episodes.catalog.catalog import Catalog
from episodes.catalog.loader import Loader
from fewshot.plots import overlays as pictures


def class_sheets(
    catalog: Catalog, *, columns: int = 6, classes: int = 8, sheets: int = 25
) -> Iterator[tuple[np.ndarray, int]]:
    """Show some images of each class with its mask, from small to large areas.

    Args:
        catalog: with class areas.
        columns: images a class.
        classes: rows a sheet.
        sheets: at most so many; further classes are not drawn.

    Yields:
        A picture uint8 [height width 3], and how many classes are on it.
    """
    loader = Loader(256, cache_bytes=2**28)
    heads = [f"area: {100 * n // max(1, columns - 1)} %" for n in range(columns)]
    heads[0], heads[-1] = "smallest area", "largest area"
    for start in range(0, min(len(catalog.classes), classes * sheets), classes):
        names = catalog.classes[start : start + classes]
        rows = [_class_row(catalog, name, columns, loader) for name in names]
        title = f"{catalog.name}: {names[0]} to {names[-1]}" if len(names) > 1 else catalog.name
        yield pictures.contact_sheet(title, heads, rows, legend=False), len(names)


def _class_row(catalog: Catalog, name: str, columns: int, loader: Loader) -> pictures.Row:
    shown = sorted(
        (s for s in catalog.samples if (s.areas or {}).get(name)),
        key=lambda s: ((s.areas or {})[name], s.key),
    )
    count = min(columns, len(shown))
    places = np.linspace(0, len(shown) - 1, count).round().astype(int)
    drawn = []
    for sample in (shown[place] for place in places):
        labels = loader.labels(sample, (name,)).numpy()
        inside = pictures.known_box(labels)
        image = pictures.channels_last(loader.image(sample).numpy())[inside]
        drawn.append(pictures.overlay(image, labels[inside], (0.0, 1.0)))
    subjects = len({s.subject for s in shown})
    areas = [(s.areas or {})[name] for s in shown]
    between = f", {areas[0]:,} to {areas[-1]:,} pixels" if areas else ""
    return pictures.Row(f"{name}: {len(shown)} images, {subjects} subjects{between}", drawn)
