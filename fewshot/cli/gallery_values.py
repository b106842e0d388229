"""The numbers by which a gallery's masks name its classes; results name them alike."""

from collections.abc import Sequence

import numpy as np

from episodes.catalog.catalog import Sample
from episodes.io.read import labels_of


def class_values(samples: Sequence[Sample], classes: tuple[str, ...]) -> tuple[int, ...]:
    """Find the number that stands for each class in the masks of a gallery.

    Of several numbers of one class, the lowest. Where one number stands for several classes (one
    mask file a class), the classes are numbered from 1, which is said.

    Args:
        samples: measured, with masks.
        classes: of their catalog.
    """
    found: dict[str, int] = {}
    for mask in (mask for sample in samples for mask in sample.masks):
        if isinstance(mask.label_map, str):
            if mask.label_map not in found:
                values = set(np.unique(labels_of(mask.pixels.source)).tolist()) - {0}
                if values:
                    found[mask.label_map] = values.pop() if len(values) == 1 else 1
            continue
        for value, name in (mask.label_map or {}).items():
            if name:
                found[name] = min(value, found.get(name, value))
    numbers = tuple(found.get(name, 0) for name in classes)
    if len(set(numbers)) == len(numbers) and 0 not in numbers:
        return numbers
    named = ", ".join(f"{number} {name}" for number, name in enumerate(classes, start=1))
    print(f"the masks give no number of its own to each class; results have {named}")
    return tuple(range(1, len(classes) + 1))
