"""Files that are damaged, lie about themselves, or are something else."""

import gzip
import struct
import zlib

import nibabel as nib
import numpy as np
import pytest
import tifffile
from PIL import Image

from episodes.errors import DataError
from episodes.io.read import read_header, read_image, read_labels, read_planes

READERS = [read_header, read_image, read_planes, read_labels]
NOISE = np.random.default_rng(0).integers(0, 256, (60, 80), dtype=np.uint8)


def png_header(width, height):
    """A PNG of which only the header is there."""

    def chunk(name, body):
        return (
            struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
        )

    shape = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", shape) + chunk(b"IDAT", b"") + chunk(b"IEND", b"")


@pytest.mark.parametrize("read", READERS)
@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("text.png", b"hello, I am text", r"is not an image: .*b'hello, I am '; expected one of"),
        ("empty.png", b"", r"is not an image: its first bytes are b''; expected one of .png"),
        ("empty.tif", b"", r"is not an image"),
        ("empty.nii", b"", r"is no readable NIfTI volume"),
        ("text.nii", b"hello, I am text" * 40, r"is no readable NIfTI volume"),
        ("text.nii.gz", b"hello, I am text" * 40, r"is no readable NIfTI volume"),
        ("huge.png", png_header(20_000, 20_000), r"is too large: .*at most 80,000,000.* Crop or"),
        ("wide.png", png_header(8_500, 10_000), r"is too large: 8500 x 10000 .* Crop or downscale"),
    ],
)
def test_what_is_no_image(tmp_path, read, name, content, message):
    if read is read_image and ".nii" in name:
        message = "is a volume; expected a picture. Read it with read_planes"
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(DataError, match=name + " " + message):
        read(path)


@pytest.mark.parametrize("read", READERS)
@pytest.mark.parametrize("name", ["missing.png", "missing.tif"])
def test_missing_and_folder(tmp_path, read, name):
    with pytest.raises(DataError, match=rf"no file .*{name}; check the name and the folder"):
        read(tmp_path / name)
    (tmp_path / name).mkdir()
    with pytest.raises(DataError, match=rf"{name} is a folder; expected an image file"):
        read(tmp_path / name)


@pytest.mark.parametrize("read", [read_header, read_planes, read_labels])
def test_missing_volume_and_folder(tmp_path, read):
    path = tmp_path / "scan.nii.gz"
    with pytest.raises(DataError, match=r"no file .*scan.nii.gz; check the name"):
        read(path)
    path.mkdir()
    with pytest.raises(DataError, match=r"scan.nii.gz is a folder; expected a NIfTI file"):
        read(path)


@pytest.mark.parametrize("read", [read_image, read_planes, read_labels])
@pytest.mark.parametrize("ending", ["png", "jpg", "tif", "bmp", "gif", "webp"])
def test_truncated_pictures(tmp_path, read, ending):
    path = tmp_path / f"cut.{ending}"
    Image.fromarray(NOISE).save(path)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match=rf"cut.{ending}"):
        read(path)


@pytest.mark.parametrize("ending", ["png", "jpg", "tif", "bmp", "gif", "webp", "nii", "nii.gz"])
def test_a_file_cut_anywhere_is_read_or_refused(tmp_path, ending):
    path = tmp_path / f"cut.{ending}"
    if "nii" in ending:
        nib.save(nib.Nifti1Image(NOISE[..., None], np.eye(4)), path)
    else:
        Image.fromarray(NOISE).save(path)
    whole = path.read_bytes()
    for length in np.linspace(0, len(whole) - 1, 40).astype(int):
        path.write_bytes(whole[:length])
        for read in (read_header, read_planes):
            try:
                read(path)
            except DataError as error:
                assert f"cut.{ending}" in str(error)  # noqa: PT017


@pytest.mark.parametrize("ending", ["png", "jpg", "tif", "gif", "webp", "bmp", "nii"])
@pytest.mark.filterwarnings("ignore")
def test_bytes_turned_over_are_read_or_refused(tmp_path, ending):
    path = tmp_path / f"flipped.{ending}"
    if ending == "nii":
        nib.save(nib.Nifti1Image(NOISE[..., None], np.eye(4)), path)
    else:
        Image.fromarray(NOISE).save(path)
    whole = path.read_bytes()
    generator = np.random.default_rng(1)
    for _ in range(60):
        damaged = bytearray(whole)
        for place in generator.integers(0, min(len(whole), 400), 3):
            damaged[place] = generator.integers(256)
        path.write_bytes(damaged)
        for read in (read_header, read_planes):
            try:
                read(path)
            except DataError as error:
                assert f"flipped.{ending}" in str(error)  # noqa: PT017


def two_pages(path):
    """Write a two-page TIFF; return its bytes and the places of the second page's tags."""
    pages = [Image.fromarray(NOISE), Image.fromarray(NOISE)]
    pages[0].save(path, save_all=True, append_images=pages[1:])
    content = bytearray(path.read_bytes())
    (first,) = struct.unpack_from("<I", content, 4)
    (count,) = struct.unpack_from("<H", content, first)
    (second,) = struct.unpack_from("<I", content, first + 2 + 12 * count)
    (count,) = struct.unpack_from("<H", content, second)
    places = range(second + 2, second + 2 + 12 * count, 12)
    return content, {struct.unpack_from("<H", content, p)[0]: p for p in places}


@pytest.mark.parametrize("side", [9_000, 10_000, 20_000])
@pytest.mark.parametrize("read", [read_planes, read_labels])
def test_a_second_page_may_not_be_too_large_either(tmp_path, side, read):
    content, places = two_pages(tmp_path / "s.tif")
    for tag in (256, 257):
        struct.pack_into("<HII", content, places[tag] + 2, 4, 1, side)
    (tmp_path / "s.tif").write_bytes(content)
    with pytest.raises(DataError, match=r"s.tif is too large: .*at most 80,000,000 pixels"):
        read(tmp_path / "s.tif")


def test_a_stack_of_too_many_pages_is_refused(tmp_path, monkeypatch):
    two_pages(tmp_path / "s.tif")
    monkeypatch.setattr("episodes.io.formats.tiff_checks.MAX_VOXELS", 9_000)
    with pytest.raises(DataError, match=r"s.tif declares 2 pages of 80 x 60; .*Split the stack"):
        read_planes(tmp_path / "s.tif")


def test_volume_that_declares_10_to_the_11_voxels(tmp_path):
    path = tmp_path / "vast.nii"
    nib.save(nib.Nifti1Image(np.zeros((2, 2, 2), np.uint8), np.eye(4)), path)
    content = bytearray(path.read_bytes())
    struct.pack_into("<4h", content, 40, 3, 5_000, 5_000, 4_000)  # dim[0..3]
    path.write_bytes(content)
    for read in (read_header, read_planes, read_labels):
        with pytest.raises(
            DataError, match=r"vast.nii declares 5000 x 5000 x 4000 = 100,000,000,000 voxels.*crop"
        ):
            read(path)


def test_truncated_volume(tmp_path):
    path = tmp_path / "cut.nii.gz"
    nib.save(nib.Nifti1Image(np.tile(NOISE[..., None], 5), np.diag([1, 1, 4, 1])), path)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    assert read_header(path).planes == 5
    for read in (read_planes, read_labels):
        with pytest.raises(DataError, match=r"cut.nii.gz ends before its voxels do.*copy it again"):
            read(path)
    path.write_bytes(gzip.compress(gzip.decompress(whole)[:-1000]))
    with pytest.raises(DataError, match=r"cut.nii.gz ends before its voxels do"):
        read_planes(path)


def test_volume_with_time_or_colour(tmp_path):
    path = tmp_path / "film.nii"
    nib.save(nib.Nifti1Image(np.zeros((2, 3, 4, 5), np.uint8), np.eye(4)), path)
    with pytest.raises(DataError, match=r"film.nii has 4 axes \(2, 3, 4, 5\); expected a volume"):
        read_header(path)
    nib.save(nib.Nifti1Image(np.zeros((2, 3, 4, 1), np.uint8), np.eye(4)), path)
    assert read_planes(path).shape == read_header(path).geometry.plane_shape
    colour = np.zeros((2, 3, 4), [("R", "u1"), ("G", "u1"), ("B", "u1")])
    nib.save(nib.Nifti1Image(colour, np.eye(4)), path)
    with pytest.raises(DataError, match=r"film.nii holds .*; expected one real number a voxel"):
        read_header(path)


def test_volume_of_very_many_tiny_planes(tmp_path, monkeypatch):
    path = tmp_path / "long.nii"
    nib.save(nib.Nifti1Image(np.zeros((2, 2, 2), np.uint8), np.diag([1, 1, 4, 1])), path)
    content = bytearray(path.read_bytes())
    struct.pack_into("<4h", content, 40, 3, 100, 1, 30_000)
    path.write_bytes(content)
    assert read_header(path).planes == 30_000
    monkeypatch.setattr("episodes.io.limits.MAX_PLANES", 20_000)
    with pytest.raises(DataError, match=r"long.nii declares 30,000 planes; between 1 and 20,000"):
        read_header(path)


def test_planes_that_only_the_metadata_declare(tmp_path):
    path = tmp_path / "a.ome.tif"
    tifffile.imwrite(path, np.zeros((3, 8, 8), np.uint8), metadata={"axes": "ZYX"})
    text = tifffile.tiffcomment(path)
    tifffile.tiffcomment(path, text.replace('SizeZ="3"', 'SizeZ="999999999"').encode())
    for read in READERS:
        with pytest.raises(DataError, match=r"a.ome.tif declares 999,999,999 planes"):
            read(path)
