"""Time generated episodes against the encoder that consumes them, and augmentation against peers.

    python tests/benchmarks/synthetic.py [--quick]

Generation: images a second that one core makes, at 256², beside the images a second that one core
takes through forward and backward of the default encoder (peer "encoder step"): ratio > 1 means
that one loading process never lets training wait. Superpixel and supervoxel episodes are timed
with their regions in memory, as after the first visit of an image.

Augmentation: milliseconds an image of 256² with its labels. The peer is torchvision's v2 transform
classes RandomAffine and ElasticTransform composed, of the same strengths, on image and mask; it is
first checked that both bend by the same number of pixels. `strong` and `medical` change
intensities as well, which the peer is not asked to do.

Repeats are interleaved; one JSON object a line gives medians of the processor time of one thread,
which other work on the machine disturbs least. Memory is not measured.
"""

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import nibabel as nib
import numpy as np
import torch
from torchvision import tv_tensors
from torchvision.transforms import v2

from episodes.augmentation.compose import MEDICAL, SSL_ALPNET, Compose
from episodes.augmentation.intensity import BiasField, Blur, Gamma, GaussianNoise
from episodes.augmentation.spatial import Affine, Elastic, Warp
from episodes.catalog.loader import Loader
from episodes.readers import read_catalog
from episodes.sampling.sampler import EpisodeSource
from episodes.sampling.superpixel_sampler import SuperpixelSampler
from episodes.sampling.supervoxel_sampler import SupervoxelSampler
from episodes.synthetic import EmojiSampler, EmojiSettings, SyntheticSampler, SyntheticSettings
from fewshot.models.encoder import Encoder

SIDE = 256
STRONG = Compose(
    (
        Warp(Affine(20, 0.1, 8, (0.8, 1.25)), Elastic(250, 14)),
        Gamma((0.5, 1.8)),
        BiasField(0.3),
        Blur(1.5),
        GaussianNoise(0.05),
    )
)


def encoder_step(batch: int = 4) -> Callable[[], None]:
    """Forward and backward of the default encoder on a batch."""
    encoder = Encoder().train()
    images = torch.rand(batch, 1, SIDE, SIDE)

    def step() -> None:
        encoder.zero_grad(set_to_none=True)
        encoder(images).square().mean().backward()

    return step


def sources(folder: Path) -> dict[str, EpisodeSource]:
    """What makes episodes; all with one support image and one query."""
    volume = SyntheticSampler(SyntheticSettings(microscopy=0.0, shot=12), seed=1).episode(0)
    planes = volume.support_images[0, :, 0].numpy().T
    nib.save(nib.Nifti1Image(planes, np.diag([-1.0, -1.0, 5.0, 1.0])), folder / "image_1.nii.gz")
    catalog, loader = read_catalog(folder), Loader(SIDE)
    return {
        "anatomy": SyntheticSampler(SyntheticSettings(microscopy=0.0)),
        "microscopy": SyntheticSampler(SyntheticSettings(microscopy=1.0)),
        "emoji": EmojiSampler(EmojiSettings(size=SIDE)),
        "superpixels": SuperpixelSampler(catalog, loader=loader),
        "supervoxels": SupervoxelSampler(catalog, loader=loader, min_area=50),
    }


def interleaved(calls: list[Callable[[], object]], seconds: float) -> list[float]:
    """Median milliseconds of each call; all take turns until the seconds are used."""
    taken: list[list[float]] = [[] for _ in calls]
    for call in calls:
        call()
    until = time.perf_counter() + seconds
    while len(taken[0]) < 3 or time.perf_counter() < until:
        for call, times in zip(calls, taken, strict=True):
            start = time.process_time()
            call()
            times.append(1e3 * (time.process_time() - start))
    return [statistics.median(times) for times in taken]


def line(name: str, unit: str, ours: float, peer: str, theirs: float, ratio: float) -> None:
    """Print one result."""
    result = {
        "name": name,
        "unit": unit,
        "ours": round(ours, 2),
        "peer": peer,
        "peer_value": round(theirs, 2),
        "ratio": round(ratio, 2),
        "peak_mib_ours": None,
        "peak_mib_peer": None,
    }
    print(json.dumps(result), flush=True)


def generation(seconds: float, folder: Path) -> None:
    """Episodes, as images a second, against the encoder's images a second."""
    step = encoder_step()
    for name, source in sources(folder).items():
        numbers = iter(range(10**9))
        for _ in range(60):  # every slice has been visited
            source.episode(next(numbers))

        def make(source: EpisodeSource = source, numbers: Iterator[int] = numbers) -> None:
            for _ in range(2):
                source.episode(next(numbers))

        ours, theirs = interleaved([make, step], seconds)
        made, taken = 4e3 / ours, 4e3 / theirs  # four images each
        line(f"{name} episodes 256^2", "images/s", made, "encoder step", taken, made / taken)


def peer_of(warp: Warp) -> v2.Compose:
    """torchvision's classes with the settings of a warp of ours."""
    affine, elastic = warp.affine, warp.elastic or Elastic(alpha=0)
    degrees = affine.shear
    bend = v2.ElasticTransform(2 * elastic.alpha, elastic.sigma)  # its unit is half a pixel
    image = torch.zeros(1, SIDE, SIDE)
    fields = [bend.make_params([image])["displacement"] * SIDE / 2 for _ in range(2)]
    found = float(torch.stack(fields).std())
    if abs(found / elastic.amplitude - 1) > 0.3:
        raise SystemExit(f"the peer bends by {found:.2f} pixels, ours by {elastic.amplitude:.2f}")
    return v2.Compose(
        [
            v2.RandomAffine(
                affine.rotation,
                (affine.translation, affine.translation),
                affine.scale,
                [-degrees, degrees, -degrees, degrees],
                v2.InterpolationMode.BILINEAR,
            ),
            bend,
        ]
    )


def augmentation(seconds: float) -> None:
    """One image and its labels, against torchvision's classes."""
    labels = torch.zeros(SIDE, SIDE, dtype=torch.uint8)
    labels[80:180, 60:200] = 1
    peer = "torchvision v2 RandomAffine + ElasticTransform"
    torch.manual_seed(0)
    for channel in (1, 3):
        image = torch.rand(channel, SIDE, SIDE)
        wrapped = tv_tensors.Image(image), tv_tensors.Mask(labels)
        for name, ours in (("ssl_alpnet", SSL_ALPNET), ("strong", STRONG), ("medical", MEDICAL)):
            warp = ours.transforms[0]
            theirs, generator = peer_of(warp), np.random.default_rng(0)
            mine, peers = interleaved(
                [partial(ours, image, labels, generator), partial(theirs, *wrapped)], seconds
            )
            line(f"augment {name} 256^2 x {channel}", "ms", mine, peer, peers, peers / mine)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="end within 50 seconds on 2 cores")
    seconds = 1.2 if parser.parse_args().quick else 10.0
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        generation(seconds, Path(folder))
    augmentation(seconds / 2)


if __name__ == "__main__":
    main()
