"""Damage small valid files of every format and require that only DataError comes out.

    python tests/fuzz_readers.py --rounds 1000

For each format, a data set is written, one of its files is changed (bits turned over, the file cut,
bytes inserted or removed, a number in it replaced by an extreme one) and the data set is read:
catalog, measured masks, one image and one label map. Everything but DataError is a failure, and so
is memory beyond the limit, which `RLIMIT_AS` turns into an error of its own.
"""

import argparse
import io
import json
import logging
import struct
import sys
import tempfile
import time
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import tifffile
import zarr
from faster_coco_eval.core import mask
from PIL import Image

from episodes import readers
from episodes.catalog.class_areas import compute_class_areas
from episodes.catalog.loader import Loader
from episodes.errors import FewshotError
from tests.episodes.dicom_files import segmentation, series

MEMORY = 2**30
"""How much more memory than at the start a damaged file may take, in bytes."""

EXTREMES = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF, 0x10000, 0x40000000)

GREY = np.random.default_rng(0).integers(0, 256, (24, 32), dtype=np.uint8)
MASK = (GREY > 128).astype(np.uint8)


def _pictures(root: Path, ending: str) -> None:
    for folder, pixels in (("images", GREY), ("masks", MASK)):
        (root / folder).mkdir()
        mask_ending = "png" if ending == "jpg" and folder == "masks" else ending
        Image.fromarray(pixels).save(root / folder / f"a.{mask_ending}")


def png(root: Path) -> None:
    _pictures(root, "png")


def jpeg(root: Path) -> None:
    _pictures(root, "jpg")


def tiff(root: Path) -> None:
    stack = np.stack([GREY, GREY.T.reshape(24, 32)]).astype(np.uint16)
    for folder, values in (("images", stack), ("masks", stack > 128)):
        (root / folder).mkdir()
        tifffile.imwrite(
            root / folder / "a.ome.tif", values.astype(np.uint16), metadata={"axes": "ZYX"}
        )
    tifffile.imwrite(root / "images" / "b.tif", np.stack([stack, stack], 1), imagej=True)
    Image.fromarray(GREY).save(root / "images" / "c.tif", compression="tiff_lzw")


def nifti(root: Path) -> None:
    voxels = np.stack([GREY, MASK, GREY]).astype(np.int16)
    nib.save(nib.Nifti1Image(voxels, np.diag([1, 1, 4, 1])), root / "image_1.nii")
    nib.save(nib.Nifti1Image(voxels % 2, np.diag([1, 1, 4, 1])), root / "label_1.nii.gz")


def dicom(root: Path) -> None:
    sources = series(root)
    mask = np.zeros((3, 8, 10, 1), np.uint8)
    mask[1, 2:4] = 1
    segmentation(root / "seg.dcm", sources, mask, ("liver",))


def omezarr(root: Path, version: int = 2) -> None:
    for name, values in (("", np.stack([GREY, GREY])), ("labels/cell", np.stack([MASK, MASK]))):
        group = zarr.open_group(root / "a.zarr" / name, mode="a", zarr_format=version)
        group.create_array("0", data=values, chunks=(1, 16, 16))
        group.attrs["multiscales"] = [
            {"axes": [{"name": n} for n in "zyx"], "datasets": [{"path": "0"}]}
        ]
    labels = zarr.open_group(root / "a.zarr" / "labels", mode="a", zarr_format=version)
    labels.attrs["labels"] = ["cell"]


def omezarr3(root: Path) -> None:
    omezarr(root, 3)


def npz(root: Path) -> None:
    np.savez_compressed(root / "a.npz", images=GREY[None], masks=MASK[None])
    np.savez(root / "b.npz", image=GREY, label=MASK)


def npy(root: Path) -> None:
    np.save(root / "images.npy", np.stack([GREY, GREY]))
    np.save(root / "masks.npy", np.stack([MASK, MASK]))


def archive(root: Path) -> None:
    content = io.BytesIO()
    ink = np.full((105, 105), 255, np.uint8)
    ink[30:60, 40:50] = 0
    Image.fromarray(ink).convert("1").save(content, "png")
    with zipfile.ZipFile(root / "images_background.zip", "w", zipfile.ZIP_DEFLATED) as file:
        for drawer in range(1, 4):
            name = f"images_background/Latin/character01/0001_{drawer:02}.png"
            file.writestr(name, content.getvalue())


def coco(root: Path) -> None:
    (root / "images").mkdir()
    Image.fromarray(GREY).save(root / "images" / "a.png")
    packed = mask.encode(np.asfortranarray(MASK))
    annotations = [
        {"image_id": 1, "category_id": 2, "iscrowd": crowd, "segmentation": segment}
        for crowd, segment in (
            (0, [[2.5, 2, 20, 2.25, 20, 15]]),
            (0, {"size": [24, 32], "counts": [100, 50, 618]}),
            (1, {"size": [24, 32], "counts": packed["counts"].decode()}),
        )
    ]
    content = {
        "images": [{"id": 1, "file_name": "a.png", "height": 24, "width": 32}],
        "categories": [{"id": 2, "name": "cell"}],
        "annotations": annotations,
    }
    (root / "a.json").write_text(json.dumps(content))


def runs(root: Path) -> None:
    (root / "a" / "images").mkdir(parents=True)
    Image.fromarray(GREY).save(root / "a" / "images" / "a.png")
    (root / "labels.csv").write_text("ImageId,EncodedPixels\na,1 20 50 7\na,300 40\n")


FORMATS: dict[str, Callable[[Path], None]] = {
    made.__name__: made
    for made in (png, jpeg, tiff, nifti, dicom, omezarr, omezarr3, npz, npy, archive, coco, runs)
}


ODD = (None, "", "../../x", [], {}, [[]], -1, 0, 2**31, 2**63, 10**40, 1e308, 0.5, True, "\0", "é")


def damage_json(content: object, generator: np.random.Generator) -> object:
    """Replace one value somewhere in a JSON document by an odd one, or leave it out."""
    if not isinstance(content, (dict, list)) or not content or generator.random() < 0.15:
        return ODD[int(generator.integers(len(ODD)))]
    keys = list(content) if isinstance(content, dict) else list(range(len(content)))
    key = keys[int(generator.integers(len(keys)))]
    if generator.random() < 0.1:
        del content[key]
    else:
        content[key] = damage_json(content[key], generator)
    return content


def damage(content: bytes, generator: np.random.Generator) -> bytes:
    """Change a file's bytes in one of six ways, or a JSON document in one of its values."""
    changed = bytearray(content)
    if not changed:
        return b"\0"
    if content.lstrip().startswith(b"{") and generator.random() < 0.8:
        return json.dumps(damage_json(json.loads(content), generator)).encode()
    # Headers are where harm is done: half of the changes hit the first 512 bytes.
    end = min(len(changed), 512) if generator.random() < 0.5 else len(changed)
    place = int(generator.integers(end))
    match generator.integers(6):
        case 0:
            for other in generator.integers(0, end, 8):
                changed[other] ^= 1 << int(generator.integers(8))
        case 1:
            del changed[place:]
        case 2:
            del changed[place : place + int(generator.integers(1, 64))]
        case 3:
            changed[place:place] = generator.bytes(int(generator.integers(1, 64)))
        case 4:
            form = generator.choice(["<H", ">H", "<I", ">I"])
            value = int(generator.choice(EXTREMES)) & (0xFFFF if form[1] == "H" else 0xFFFFFFFF)
            changed[place : place + struct.calcsize(form)] = struct.pack(form, value)
        case _:
            digits = [i for i, byte in enumerate(changed) if 48 <= byte <= 57] or [place]
            at = int(generator.choice(digits))
            new = [b"-1", b"99999999999", b"1e999", b"NaN", b"null", b'"', b"[", b"0", b"255"]
            changed[at : at + 1] = new[int(generator.integers(len(new)))]
    return bytes(changed)


def read_all(root: Path) -> None:
    """Read everything that a learner would read."""
    catalog = compute_class_areas(readers.read_catalog(root))
    loader = Loader(32)
    for sample in catalog.samples[:8]:
        loader.image(sample)
        loader.labels(sample, catalog.classes[:5])


def fuzz(name: str, rounds: int, seed: int) -> dict[str, int]:
    """Damage a format's files `rounds` times; return how many were read and how many refused.

    Raises:
        Exception: whatever came out that is no error of ours.
    """
    generator = np.random.default_rng([seed, *name.encode()])
    counts = {"read": 0, "refused": 0}
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        FORMATS[name](root)
        read_all(root)
        files = sorted(path for path in root.rglob("*") if path.is_file())
        if name in ("coco", "runs"):  # their pictures are the business of png
            files = [path for path in files if path.suffix != ".png"]
        for number in range(rounds):
            path = files[int(generator.integers(len(files)))]
            whole = path.read_bytes()
            path.write_bytes(damage(whole, generator))
            try:
                read_all(root)
                counts["read"] += 1
            except FewshotError:
                counts["refused"] += 1
            except BaseException as error:
                kept = Path(tempfile.gettempdir()) / f"fuzz-{name}-{number}-{path.name}"
                kept.write_bytes(path.read_bytes())
                error.add_note(f"{name}, round {number}, {path.relative_to(root)}, kept in {kept}")
                raise
            finally:
                path.write_bytes(whole)
    return counts


def limit_memory() -> None:
    """Let this process have `MEMORY` more address space than it has."""
    import resource  # not there on every system

    pages = int(Path("/proc/self/statm").read_text().split()[0])
    most = pages * resource.getpagesize() + MEMORY
    resource.setrlimit(resource.RLIMIT_AS, (most, resource.getrlimit(resource.RLIMIT_AS)[1]))


def main() -> None:
    """Fuzz the formats named, or all."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument(
        "formats", nargs="*", default=list(FORMATS), metavar="FORMAT", help=", ".join(FORMATS)
    )
    parser.add_argument("--rounds", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    settings = parser.parse_args()
    warnings.simplefilter("ignore")
    logging.disable()
    for name in settings.formats:  # whatever libraries allocate once is there before the limit
        fuzz(name, 1, settings.seed)
    limit_memory()
    import resource

    for name in settings.formats:
        start = time.perf_counter()
        counts = fuzz(name, settings.rounds, settings.seed)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(f"{name:9} {counts} {time.perf_counter() - start:.0f} s, peak {peak:.0f} MiB")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
