"""Files and scans of a catalog as image stacks."""

from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from episodes.catalog.catalog import Sample
from episodes.catalog.letterbox import intensity_range
from episodes.errors import DataError
from episodes.io.pixels import IGNORE
from episodes.io.read import planes_of
from episodes.protocols.base import volumes
from fewshot.evaluation.confusion_counts import GroundTruth
from fewshot.inference.inputs import ImageStack
from fewshot.inference.support_set import SupportSet

_BYTES = 2**30  # of images that are remembered; the last two stay whatever their size

Keys = tuple[str, ...]


class CatalogStacks:
    """Image stacks of the files and of the scans of a catalog."""

    def __init__(self, truth: GroundTruth) -> None:
        self.truth = truth
        self._stacks: OrderedDict[Keys, ImageStack] = OrderedDict()
        self._scans: dict[str, Keys] = {}

    def keys_of(self, key: str) -> Keys:
        """All slices of the volume that a slice belongs to, in order."""
        if not self._scans:
            self._scans = {
                sample.key: tuple(one.key for one in samples)
                for samples in volumes(self.truth.catalog).values()
                for sample in samples
            }
        return self._scans[key]

    def scan(self, keys: Sequence[str]) -> ImageStack:
        """Stack the whole volume of some slices, of which these are selected."""
        whole = self.keys_of(keys[0])
        stack = self._stack(whole)
        return replace(stack, selected=tuple(whole.index(key) for key in keys))

    def runs(self, keys: Sequence[str]) -> list[Keys]:
        """Cut a list of slices where another file begins."""
        runs: list[list[str]] = []
        for key in keys:
            source = self._source(key)
            if runs and self._source(runs[-1][-1]) == source:
                runs[-1].append(key)
            else:
                runs.append([key])
        return [tuple(run) for run in runs]

    def file(self, keys: Sequence[str]) -> ImageStack:
        """Read the file that some slices lie in, of which these are selected."""
        stack = self._stack((keys[0],), in_file=True)
        planes = tuple(self.truth.sample(key).image.plane or 0 for key in keys)
        return replace(stack, selected=planes)

    def support_set(
        self,
        runs: Sequence[Keys],
        labels: Callable[[str], np.ndarray],
        names: tuple[str, ...],
        values: tuple[int, ...],
        *,
        scans: bool = False,
    ) -> SupportSet:
        """Make a support set of annotated slices; of all others the labels are unknown.

        Args:
            runs: slices of one file each, or of one scan each.
            labels: of a slice: uint8 [height width], 0, 1..class, 255 unknown.
            names, values: see `SupportSet`.
            scans: whether the runs are of scans, which may lie in several files.
        """
        stacks = [self.scan(run) if scans else self.file(run) for run in runs]
        maps = []
        for stack, run in zip(stacks, runs, strict=True):
            found = np.full(stack.pixels.shape[:3], IGNORE, np.uint8)
            for plane, key in zip(stack.chosen, run, strict=True):
                found[plane] = labels(key)
            maps.append(found)
        pictures = tuple(replace(stack, selected=None) for stack in stacks)
        annotated = tuple(stack.chosen for stack in stacks)
        return SupportSet(pictures, tuple(maps), names, values, annotated)

    def _source(self, key: str) -> Any:
        return self.truth.sample(key).image.source

    def _stack(self, keys: Keys, in_file: bool = False) -> ImageStack:
        name = (str(self._source(keys[0])),) if in_file else keys
        if name in self._stacks:
            self._stacks.move_to_end(name)
            return self._stacks[name]
        samples = [self.truth.sample(key) for key in keys]
        sources = list(dict.fromkeys(sample.image.source for sample in samples))
        if len(sources) == 1:
            pixels = planes_of(sources[0])
            planes = [sample.image.plane or 0 for sample in samples]
            limits = None
            if not in_file and planes != list(range(len(pixels))):
                limits = intensity_range(pixels)  # those of the file, as when it is read whole
                pixels = pixels[planes]
            volume = len(pixels) > 1
            stack = ImageStack(
                pixels, samples[0].image.name, volume=volume, limits=limits, key=name
            )
        else:
            stack = _of_files(samples, name)
        self._stacks[name] = stack
        while len(self._stacks) > 2 and sum(_nbytes(s) for s in self._stacks.values()) > _BYTES:
            self._stacks.popitem(last=False)
        return stack


def _of_files(samples: Sequence[Sample], name: Keys) -> ImageStack:
    """Stack slices that are files of their own, each with its own range of intensities.

    Raises:
        DataError: they have several sizes.
    """
    planes = [planes_of(sample.image.source)[sample.image.plane or 0] for sample in samples]
    shapes = {plane.shape for plane in planes}
    if len(shapes) > 1:
        raise DataError(
            f"the slices of {samples[0].subject} have the sizes {sorted(shapes)}; expected one, "
            "as slices of a volume have. Choose a predictor that segments slices one by one"
        )
    limits = tuple(intensity_range(plane) for plane in planes)
    return ImageStack(np.stack(planes), samples[0].subject, volume=True, limits=limits, key=name)


def _nbytes(stack: ImageStack) -> int:
    return int(stack.pixels.nbytes)
