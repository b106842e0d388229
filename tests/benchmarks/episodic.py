"""Episodes per second and the cost of planning, against learn2learn and easyfsl.

The images are the slices of the CHAOS T2 scans in ../shared/data (else tiles of the bundled nuclei:
the names of the lines say which), stored once as grey PNG of 256 x 256 pixels with class masks, and
read by all sides from there. An episode is 1-way 1-shot with 1 query: two images, two masks. Peers
get two kinds of data set, both returning an image and the binary mask of one class: "files" opens
both files at every access, as their users write it; "memory" holds every image and mask as the
tensor that it returns. Ours starts from files too, and remembers decoded images as it always does;
times are of later passes. It is checked that equal items give equal pixels, images to within the
half precision in which ours are kept. easyfsl 1.5 calls its base class with an argument that torch
no longer takes, which is mended here. With 2 workers all sides go through DataLoader.

Further lines: the time of a plan in 1,000 images against 1,000,000 (simulated, catalog only), and
the memory of measuring a large data set against holding its masks.

    python tests/benchmarks/episodic.py [--quick]

(Not episodes.py: in this folder that name would hide the package from the other benchmarks.)

Needs the extras ``bench`` and ``meta`` and Linux (/proc). Peaks are of this process alone.
"""

import argparse
import gc
import json
import statistics
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import torch
from easyfsl.samplers import TaskSampler
from PIL import Image
from shared import observe
from shared.slices import SIZE, prepare
from torch.utils.data import DataLoader, Dataset, Sampler

from episodes.catalog.catalog import Catalog, Sample
from episodes.catalog.class_areas import compute_class_areas
from episodes.catalog.loader import Loader
from episodes.io.pixels import MaskRef, PixelRef
from episodes.readers import read_catalog
from episodes.sampling.dataloader import BatchLoader
from episodes.sampling.sampler import EpisodeSampler, EpisodeSettings

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # learn2learn imports gym, which warns
    import learn2learn as l2l

LEAST = 64


class Files(Dataset):
    """A plain data set: an item is a class in an image; both files are opened at every access."""

    def __init__(self, catalog: Catalog) -> None:
        self.items = [
            (sample.image.path, sample.masks[0].pixels.path, int(name))
            for sample in catalog.samples
            for name in catalog.classes
            if (sample.areas or {}).get(name, 0) >= LEAST
        ]

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, torch.Tensor]:
        image, mask, value = self.items[index]
        pixels = torch.from_numpy(np.array(Image.open(image))).float().div(255)[None]
        return pixels, (torch.from_numpy(np.array(Image.open(mask))) == value).byte()

    def get_labels(self) -> list[int]:
        """What easyfsl asks for."""
        return [value for _, _, value in self.items]


class Memory(Dataset):
    """The same items, each held as the tensors that it returns."""

    def __init__(self, files: Files) -> None:
        images: dict[Path, torch.Tensor] = {}
        self.labels = files.get_labels()
        self.items = []
        for number, (path, _, _) in enumerate(files.items):
            image, mask = files[number]
            self.items.append((images.setdefault(path, image), mask))

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, torch.Tensor]:
        return self.items[index]

    def get_labels(self) -> list[int]:
        """What easyfsl asks for."""
        return self.labels


def stack(items: list[tuple[torch.Tensor, torch.Tensor]]) -> tuple[torch.Tensor, ...]:
    """One support item and one query item; easyfsl's own collate function knows no masks."""
    images, masks = (torch.stack(part) for part in zip(*items, strict=True))
    return images[:1], masks[:1], images[1:], masks[1:]


def _plain_start(self: Sampler, data_source: None) -> None: ...


def easyfsl(items: Files | Memory, workers: int) -> Iterator[Any]:
    with mock.patch.object(Sampler, "__init__", _plain_start, create=True):
        sampler = TaskSampler(items, n_way=1, n_shot=1, n_query=1, n_tasks=10**6)
    loader = DataLoader(items, batch_sampler=sampler, collate_fn=stack, num_workers=workers)
    return iter(loader)


def learn2learn(items: Files | Memory, workers: int) -> Iterator[Any]:
    described = l2l.data.MetaDataset(items, indices_to_labels=dict(enumerate(items.get_labels())))
    transforms = [
        l2l.data.transforms.NWays(described, n=1),
        l2l.data.transforms.KShots(described, k=2),
        l2l.data.transforms.LoadData(described),
    ]
    tasks = l2l.data.Taskset(described, transforms, num_tasks=10**5)
    if not workers:
        return (tasks[index] for index in range(len(tasks)))
    return iter(DataLoader(tasks, batch_size=None, num_workers=workers))


def ours(sampler: EpisodeSampler, workers: int) -> Iterator[Any]:
    return iter(BatchLoader(sampler, workers=workers))


def agree(sampler: EpisodeSampler, files: Files) -> None:
    """Equal items give equal pixels, and every episode of ours is made of them."""
    places = {(str(path), value): n for n, (path, _, value) in enumerate(files.items)}
    keys = {sample.key: str(sample.image.path) for sample in sampler.catalog.samples}
    for index in range(25):
        episode = sampler.episode(index)
        value = int(episode.plan.classes[0])
        for key, image, mask in (
            (episode.plan.support[0][0], episode.support_images[0, 0], episode.support_masks[0, 0]),
            (episode.plan.query[0], episode.query_images[0], episode.query_labels[0]),
        ):
            expected, truth = files[places[keys[key], value]]
            torch.testing.assert_close(image, expected, atol=5e-4, rtol=0)
            torch.testing.assert_close(mask, truth, atol=0, rtol=0)


def per_second(batches: Iterator[Any], count: int) -> float:
    start = time.perf_counter()
    for _ in range(count):
        next(batches)
    return count / (time.perf_counter() - start)


def rates(what: str, sampler: EpisodeSampler, files: Files, workers: int, quick: bool) -> None:
    """Episodes per second of all sides, in turn."""
    memory = Memory(files)
    makers: dict[str, Callable[[], Iterator[Any]]] = {
        "learn2learn, files": lambda: learn2learn(files, workers),
        "easyfsl, files": lambda: easyfsl(files, workers),
        "learn2learn, memory": lambda: learn2learn(memory, workers),
        "easyfsl, memory": lambda: easyfsl(memory, workers),
    }
    repeats, count = (3, 60) if quick else (15, 400)
    for peer, make in makers.items():
        both = {"ours": ours(sampler, workers), "peer": make()}
        found: dict[str, list[float]] = {"ours": [], "peer": []}
        for batches in both.values():
            per_second(batches, 40)  # starts workers, fills what is prefetched
        for _ in range(repeats):
            for side, batches in both.items():
                found[side].append(per_second(batches, count))
        peaks = {side: observe(lambda b=b: per_second(b, 20)).peak_mib for side, b in both.items()}
        values = {side: statistics.median(each) for side, each in found.items()}
        del both
        gc.collect()
        where = f"{workers} workers" if workers else "one process"
        line(
            f"episodes 1-way 1-shot 256x256 {what}, {where}",
            "episodes/s",
            (values["ours"], peaks["ours"]),
            peer,
            (values["peer"], peaks["peer"]),
            values["ours"] / values["peer"],
        )


def simulated(count: int) -> Catalog:
    """A catalog of a hundred images a subject that show two of fifty classes each."""
    pixels = PixelRef(Path("image.png"))
    areas = [{f"c{n}": 100, f"c{(n + 7) % 50}": 300} for n in range(50)]
    samples = (
        Sample(str(n), pixels, (), f"s{n // 100}", (SIZE, SIZE), areas[n % 50])
        for n in range(count)
    )
    return Catalog(tuple(samples), tuple(f"c{n}" for n in range(50)), "simulated")


def planning(quick: bool) -> None:
    """Time and memory of a plan, 5-way 5-shot, in few and in many images."""
    wanted = EpisodeSettings(way=5, shot=5, query=5)
    few, many = (EpisodeSampler(simulated(count), wanted) for count in (10**3, 10**6))
    gc.collect()
    gc.freeze()  # else a collection goes through a million samples now and then
    times: dict[str, list[float]] = {"few": [], "many": []}
    for number in range(5 if quick else 25):
        for side, sampler in (("few", few), ("many", many)):
            start = time.perf_counter()
            for index in range(number * 100, number * 100 + 100):
                sampler.plan(index)
            times[side].append((time.perf_counter() - start) / 100 * 1e6)
    values = {side: statistics.median(each) for side, each in times.items()}
    peaks = [
        observe(lambda s=s: [s.plan(i) for i in range(9000, 9100)]).peak_mib for s in (many, few)
    ]
    line(
        "plan a 5-way 5-shot episode in 1,000,000 images",
        "us",
        (values["many"], peaks[0]),
        "ours in 1,000 images",
        (values["few"], peaks[1]),
        values["few"] / values["many"],
    )


def scanning(folder: Path, quick: bool) -> None:
    """Time and memory of measuring many small masks, against a list of the masks."""
    count = 2_000 if quick else 100_000
    pixels = np.zeros((64, 64), np.uint8)
    pixels[10:40, 20:50] = 1
    (folder / "scan").mkdir()
    first = folder / "scan" / "first.png"
    Image.fromarray(pixels).save(first)
    paths = [folder / "scan" / f"{n}.png" for n in range(count)]
    content = first.read_bytes()
    for path in paths:
        path.write_bytes(content)
    samples = tuple(
        Sample(path.name, PixelRef(path), (MaskRef(PixelRef(path), {1: "a"}),), path.stem, (64, 64))
        for path in paths
    )
    catalog = Catalog(samples, ("a",))
    measured = observe(lambda: compute_class_areas(catalog))
    held = observe(lambda: [np.array(Image.open(path)) for path in paths])
    areas = [(each == 1).sum() for each in held.result]
    np.testing.assert_array_equal(areas, [s.areas["a"] for s in measured.result.samples])
    line(
        f"measure {count:,} masks of 64x64",
        "s",
        (measured.milliseconds / 1e3, measured.peak_mib),
        "masks read into a list with Pillow",
        (held.milliseconds / 1e3, held.peak_mib),
        held.milliseconds / measured.milliseconds,
    )


def line(
    name: str,
    unit: str,
    mine: tuple[float, float],
    peer: str,
    theirs: tuple[float, float],
    ratio: float,
) -> None:
    content = {
        "name": name,
        "unit": unit,
        "ours": round(mine[0], 2),
        "peer": peer,
        "peer_value": round(theirs[0], 2),
        "ratio": round(ratio, 2),
        "peak_mib_ours": round(mine[1], 2),
        "peak_mib_peer": round(theirs[1], 2),
    }
    sys.stdout.write(json.dumps(content) + "\n")
    sys.stdout.flush()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="fewer repeats: within 50 seconds")
    quick = parser.parse_args().quick
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        what = prepare(folder)
        catalog = compute_class_areas(read_catalog(folder, subject_pattern=r"p[^_]+"))
        sampler = EpisodeSampler(catalog, EpisodeSettings(min_area=LEAST), loader=Loader(SIZE))
        files = Files(catalog)
        agree(sampler, files)
        for sample in catalog.samples:  # the first pass; workers inherit what is decoded
            sampler.loader.image(sample)
            sampler.loader.labels(sample, catalog.classes)
        for index in range(1000):
            sampler.episode(index)
        for workers in (0, 2):
            rates(what, sampler, files, workers, quick)
        scanning(folder, quick)
    planning(quick)


if __name__ == "__main__":
    main()
