"""The files of objects that lie beside the masks of a batch: numbers, tables, run-lengths."""

import csv
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from episodes.io.formats.rle import to_pairs
from episodes.io.read import read_labels, stem, suffix
from episodes.io.write import atomic_write, write_image
from fewshot.metrics.tables import csv_table

if TYPE_CHECKING:  # it imports torch, before which much can be refused
    from fewshot.inference.instances.value import Instances
    from fewshot.inference.result import Segmentation


OBJECTS, COUNTS, BOWL = "objects.csv", "counts.csv", "bowl.csv"
_FILE = "instances"
"""Column of the two tables, and key of the rows, that names the file of numbers."""
COUNT_COLUMNS = ("image", "class", "count", "total_area", "mean_area", "unit", "touching_border")
_BOWL_COLUMNS = ("ImageId", "EncodedPixels")


class ObjectFiles:
    """Writes the objects of each image beside its mask, and the tables of all images at the end.

    Args:
        out: folder of the results.
        make: objects of a segmented image.
        bowl: also write the run-length file of the 2018 Data Science Bowl.
    """

    def __init__(
        self, out: Path, make: Callable[["Segmentation"], "Instances"], bowl: bool = False
    ) -> None:
        self.out, self.make, self.bowl = out, make, bowl
        self._objects: dict[str, list[dict[str, Any]]] = {}
        self._counts: dict[str, list[dict[str, Any]]] = {}
        self._before = {name: _read(out / name) for name in (OBJECTS, COUNTS)}

    def write(self, mask: Path, result: Any) -> tuple[list[Path], dict[str, Any]]:
        """Write numbers and overlay of one image.

        Args:
            mask: relative path of its mask.
            result: its segmentation.

        Returns:
            The files, relative to the folder, and what the summary tells of them.
        """
        found = self.make(result)
        numbers, overlay = self.names(mask, found.default_name())
        found.save(self.out / numbers)
        write_image(self.out / overlay, found.overlay())
        key = numbers.as_posix()
        self._objects[key] = [{**row, _FILE: key} for row in found.table()]
        self._counts[key] = [{**row, _FILE: key} for row in found.summary()]
        row = {
            _FILE: key,
            "objects": len(found),
            "objects_by_class": found.counts,
            "objects_touching_border": int(found.touches_border.sum()),
            **({"objects_doubt": found.doubt} if found.doubt else {}),
        }
        return [numbers, overlay], row

    @staticmethod
    def names(mask: Path, default: str = "") -> tuple[Path, Path]:
        """Names of the numbers and of the overlay beside a mask; see `Instances.default_name`."""
        ending = suffix(Path(default)) or suffix(mask)
        name = f"{stem(mask)}_instances"
        return mask.with_name(name + ending), mask.with_name(f"{name}_overlay.png")

    def finish(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Write the tables of all images that have numbers, those of earlier runs included.

        Args:
            rows: of the summary, in its order.
        """
        keys = [row[_FILE] for row in rows if _FILE in row]
        objects = self._joined(OBJECTS, self._objects, keys)
        counts = self._joined(COUNTS, self._counts, keys)
        columns = list(dict.fromkeys(name for row in objects for name in row))
        self._table(OBJECTS, columns or ["image", "number", "class", _FILE], objects)
        self._table(COUNTS, [*COUNT_COLUMNS, _FILE], counts)
        if self.bowl:
            self._table(BOWL, _BOWL_COLUMNS, [row for key in keys for row in self._runs(key)])

    def _joined(
        self, name: str, now: Mapping[str, list[dict[str, Any]]], keys: Iterable[str]
    ) -> list[Mapping[str, Any]]:
        before = self._before[name]
        return [row for key in keys for row in now.get(key, before.get(key, []))]

    def _runs(self, key: str) -> list[dict[str, str]]:
        """List the objects of an image as run-lengths; an image without any has one empty line."""
        labels = read_labels(self.out / key)
        if len(labels) > 1:
            return []  # the file has no axis of depth
        image = key.removesuffix(suffix(Path(key))).removesuffix("_instances")
        return bowl_rows(image, labels[0])

    def _table(self, name: str, columns: Iterable[str], rows: Iterable[Mapping[str, Any]]) -> None:
        with atomic_write(self.out / name) as partial:
            partial.write_text(csv_table(list(columns), rows), encoding="utf-8")


def bowl_rows(image: str, labels: np.ndarray) -> list[dict[str, str]]:
    """Write the objects of an image as lines of the 2018 Data Science Bowl's submission file.

    Args:
        image: its ImageId.
        labels: numbers [height width], 0 background.

    Returns:
        A row an object, starts counted from 1, column after column; one with an empty run-length
        where there is no object, as the competition wanted it.

    >>> bowl_rows("a", np.array([[1, 0], [1, 2]]))
    [{'ImageId': 'a', 'EncodedPixels': '1 2'}, {'ImageId': 'a', 'EncodedPixels': '4 1'}]
    """
    numbers = np.unique(labels[labels > 0])
    if not numbers.size:
        return [{"ImageId": image, "EncodedPixels": ""}]
    return [{"ImageId": image, "EncodedPixels": to_pairs(labels == number)} for number in numbers]


def _read(path: Path) -> dict[str, list[dict[str, Any]]]:
    """Read an earlier run's table, by the file of numbers."""
    rows: dict[str, list[dict[str, Any]]] = {}
    if path.is_file():
        with path.open(encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file):
                rows.setdefault(row.get(_FILE) or "", []).append(dict(row))
    return rows
