"""Every kind of pixel is read as tifffile, libpng and NumPy read it, and the header agrees."""

import itertools
import struct
import zlib

import imagecodecs
import numpy as np
import pytest
import tifffile
from PIL import Image

from episodes.errors import DataError
from episodes.io.read import read_header, read_image, read_labels, read_planes

DTYPES = (
    *(("bool", 1), ("uint8", 8), ("uint8", 2), ("uint8", 4), ("uint16", 16), ("uint16", 10)),
    *(("uint16", 12), ("uint32", 32), ("uint64", 64), ("int8", 8), ("int16", 16), ("int32", 32)),
    *(("int64", 64), ("float16", 16), ("float32", 32), ("float64", 64)),
)
COMPRESSIONS = (None, "lzw", "zlib", "packbits", "lzma", "zstd", "predicted")
KINDS = (("minisblack", None), ("miniswhite", None), ("rgb", "contig"), ("rgb", "separate"))


def pixels(dtype, bits, shape, seed=0):
    generator = np.random.default_rng(seed)
    if dtype == "bool":
        return generator.random(shape) < 0.4
    if np.dtype(dtype).kind == "f":
        return (generator.integers(0, 1000, shape) / 4).astype(dtype)
    least, most = np.iinfo(dtype).min, min(2**bits - 1, np.iinfo(dtype).max)
    return generator.integers(least, most, shape, dtype, endpoint=True)


def options(bits, compression, photometric, planar, order, tiled):
    made = {"photometric": photometric, "byteorder": order}
    made |= {"planarconfig": planar} if planar else {}
    made |= {"bitspersample": bits} if bits not in (1, 8, 16, 32, 64) else {}
    made |= {"tile": (16, 16)} if tiled else {"rowsperstrip": 5}
    if compression == "predicted":
        return made | {"compression": "zlib", "predictor": True}
    return made | ({"compression": compression} if compression else {})


@pytest.mark.parametrize(("photometric", "planar"), KINDS)
def test_tiff_is_what_tifffile_reads(tmp_path, photometric, planar):
    shape = {None: (9, 21), "contig": (9, 21, 3), "separate": (3, 9, 21)}[planar]
    read = 0
    cells = list(itertools.product(DTYPES, COMPRESSIONS, "<>", (False, True)))
    for (dtype, bits), compression, order, tiled in cells[KINDS.index((photometric, planar)) :: 3]:
        if dtype == "bool" and planar:
            continue
        if bits in (10, 12) and order == ">":
            continue  # tifffile writes packed samples of big-endian files in the wrong order
        made = options(bits, compression, photometric, planar, order, tiled)
        written, path = pixels(dtype, bits, shape), tmp_path / "a.tif"
        try:
            tifffile.imwrite(path, written, **made)
        except (ValueError, NotImplementedError):
            continue  # tifffile has no such file: a predictor of bits, of packed samples
        expected = tifffile.imread(path)
        np.testing.assert_array_equal(expected, written)
        expected = np.moveaxis(expected, 0, 2) if planar == "separate" else expected
        found, header = read_image(path), read_header(path)
        np.testing.assert_array_equal(found, expected, err_msg=f"{dtype} {made}")
        assert found.dtype == (np.uint8 if dtype == "bool" else dtype)
        assert (header.planes, header.size) == (1, (9, 21))
        if planar is None and written.min() >= 0 and np.dtype(dtype).kind != "f":
            np.testing.assert_array_equal(read_labels(path)[0], expected)
        read += 1
    assert read > 100


@pytest.mark.parametrize("compression", ["jpeg", "jpeg2000", "webp", "png"])
def test_tiff_of_packed_pictures(tmp_path, compression):
    rows, columns = np.mgrid[:32, :48]
    smooth = np.stack([rows * 4, columns * 3, rows + columns], 2).astype(np.uint8)
    tifffile.imwrite(tmp_path / "a.tif", smooth, photometric="rgb", compression=compression)
    expected = tifffile.imread(tmp_path / "a.tif")
    np.testing.assert_array_equal(read_image(tmp_path / "a.tif"), expected)


@pytest.mark.parametrize("compression", ["group3", "group4", "tiff_ccitt", "packbits", "tiff_lzw"])
def test_tiff_of_one_bit_by_libtiff(tmp_path, compression):
    mask = pixels("bool", 1, (30, 50))
    Image.fromarray(mask).save(tmp_path / "a.tif", compression=compression)
    np.testing.assert_array_equal(read_labels(tmp_path / "a.tif")[0], mask)


def test_boolean_and_inverting_masks_are_not_turned_over(tmp_path):
    disc = np.hypot(*np.mgrid[-20:20, -30:30]) < 9
    tifffile.imwrite(tmp_path / "plain.tif", disc)
    tifffile.imwrite(tmp_path / "packed.tif", disc, compression="zlib")
    tifffile.imwrite(tmp_path / "table.tif", disc * np.uint8(255), photometric="miniswhite")
    for path in tmp_path.iterdir():
        np.testing.assert_array_equal(read_labels(path)[0] != 0, disc)
        np.testing.assert_array_equal(read_image(path) != 0, disc)


def test_pages_of_other_compression_are_one_stack(tmp_path):
    planes = pixels("uint16", 16, (3, 9, 21))
    with tifffile.TiffWriter(tmp_path / "a.tif") as file:
        for plane, compression in zip(planes, (None, "zlib", "lzw"), strict=True):
            file.write(plane, metadata=None, compression=compression)
    np.testing.assert_array_equal(read_planes(tmp_path / "a.tif"), planes)


@pytest.mark.parametrize("ome", [False, True])
def test_pyramids_and_thumbnails_are_read_at_full_size(tmp_path, ome):
    path = tmp_path / ("a.ome.tif" if ome else "a.tif")
    planes = pixels("uint8", 8, (3, 32, 48))
    with tifffile.TiffWriter(path, ome=ome) as file:
        grey = {"photometric": "minisblack"}
        file.write(planes, subifds=1, metadata={"axes": "ZYX"} if ome else None, **grey)
        file.write(planes[:, ::2, ::2], subfiletype=1, metadata={} if ome else None, **grey)
    np.testing.assert_array_equal(read_planes(path), planes)


def test_several_pictures_in_a_file_are_refused(tmp_path):
    with tifffile.TiffWriter(tmp_path / "a.ome.tif", ome=True) as file:
        for _ in range(2):
            file.write(pixels("uint8", 8, (9, 21)), metadata={"axes": "YX"})
    with pytest.raises(DataError, match=r"a.ome.tif holds 2 pictures.*Save them apart"):
        read_planes(tmp_path / "a.ome.tif")


def test_tiff_that_lacks_what_it_declares(tmp_path):
    planes, path = pixels("uint8", 8, (5, 9, 21)), tmp_path / "a.ome.tif"
    tifffile.imwrite(path, planes, metadata={"axes": "ZYX"})
    path.write_bytes(path.read_bytes().replace(b'SizeZ="5"', b'SizeZ="9"'))
    with pytest.raises(DataError, match=r"lacks 4 of 9 planes"):
        read_planes(path)
    tifffile.imwrite(tmp_path / "b.tif", planes, imagej=True)
    whole = (tmp_path / "b.tif").read_bytes()
    (tmp_path / "b.tif").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match=r"b.tif .*contradict each other|b.tif declares"):
        read_planes(tmp_path / "b.tif")


@pytest.mark.parametrize("compression", ["zlib", "lzw", "zstd", "lzma", "packbits"])
def test_a_strip_that_unpacks_to_more_than_declared_takes_no_memory(tmp_path, compression):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, np.zeros((8, 8), np.uint8), compression=compression)
    codec = getattr(imagecodecs, f"{compression}_encode")
    packed, content = codec(bytes(2**17)), bytearray(path.read_bytes())
    with tifffile.TiffFile(path) as file:
        tags = file.pages[0].tags
        for number, value in ((273, len(content)), (279, len(packed))):
            struct.pack_into("<HII", content, tags[number].offset + 2, 4, 1, value)
    path.write_bytes(content + packed)
    try:
        assert read_image(path).shape == (8, 8)
    except DataError as error:
        assert "a.tif" in str(error)  # noqa: PT017


def test_codecs_that_cannot_be_bounded_are_refused_by_name(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", pixels("uint8", 8, (32, 32)), compression="jpegxl")
    with pytest.raises(DataError, match=r"a.tif is compressed as JPEGXL; expected none, LZW, .*"):
        read_header(tmp_path / "a.tif")


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_png_of_16_bits_keeps_them(tmp_path, channels):
    values = pixels("uint16", 16, (9, 21, channels))
    values[0, 0, -1] = 65_535
    (tmp_path / "a.png").write_bytes(imagecodecs.png_encode(values.squeeze()))
    found = read_image(tmp_path / "a.png").reshape(9, 21, -1)
    assert found.dtype == np.uint16
    if channels in (2, 4):
        share = values[..., -1:] / 65_535
        white = values[..., :-1] * share + 65_535 * (1 - share)
        np.testing.assert_array_equal(found, np.rint(white))
    else:
        np.testing.assert_array_equal(found, values)
    assert read_header(tmp_path / "a.png").size == (9, 21)


def png(bits, kind, rows, more=b""):
    """A PNG by hand, of rows of packed samples."""

    def chunk(name, body):
        return (
            struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
        )

    width = len(rows[0]) * 8 // bits
    shape = struct.pack(">IIBBBBB", width, len(rows), bits, kind, 0, 0, 0)
    body = chunk(b"IDAT", zlib.compress(b"".join(b"\0" + row for row in rows)))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", shape) + more + body + chunk(b"IEND", b"")


def test_png_of_few_bits_keeps_its_levels(tmp_path):
    for bits in (1, 2, 4, 8):
        (tmp_path / "a.png").write_bytes(png(bits, 0, [bytes([0b00011011] * 8)]))
        found = read_image(tmp_path / "a.png")
        expected = {1: 2, 2: 4, 4: 2, 8: 1}[bits]
        assert len(np.unique(found)) == expected


@pytest.mark.parametrize("top", [1, 7, 255, 1023, 65_535])
@pytest.mark.parametrize("magic", [b"P2", b"P3", b"P5", b"P6"])
def test_netpbm_samples_are_those_of_the_file(tmp_path, magic, top):
    colour = magic in (b"P3", b"P6")
    values = np.random.default_rng(0).integers(0, top, (5, 7, 3)[: 2 + colour], endpoint=True)
    if magic in (b"P2", b"P3"):
        body = " ".join(map(str, values.ravel())).encode()
    else:
        body = values.astype(">u2" if top > 255 else "u1").tobytes()
    path = tmp_path / "a.pnm"
    path.write_bytes(magic + f"\n# words\n7 5\n{top}\n".encode() + body)
    np.testing.assert_array_equal(read_image(path), values)
    assert read_header(path).size == (5, 7)
    if not colour:
        np.testing.assert_array_equal(read_labels(path)[0], values)


def test_other_netpbm(tmp_path):
    deep = pixels("uint16", 16, (5, 7, 3))
    head = b"P7\nWIDTH 7\nHEIGHT 5\nDEPTH 3\nMAXVAL 65535\nTUPLTYPE RGB\nENDHDR\n"
    (tmp_path / "a.pam").write_bytes(head + deep.astype(">u2").tobytes())
    np.testing.assert_array_equal(read_image(tmp_path / "a.pam"), deep)
    real = deep[..., 0].astype("<f4")
    (tmp_path / "a.pfm").write_bytes(b"Pf\n7 5\n-1.0\n" + real[::-1].tobytes())
    np.testing.assert_array_equal(read_image(tmp_path / "a.pfm"), real)
    ink = pixels("bool", 1, (5, 7))
    Image.fromarray(ink).save(tmp_path / "a.pbm")
    np.testing.assert_array_equal(read_labels(tmp_path / "a.pbm")[0], ink)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"P5\n7 5\n255\n" + bytes(30), r"holds 30 of 35 samples; is the file complete"),
        (b"P5\n7 5\n3\n" + bytes([9] * 35), r"samples from 9 to 9; its header allows 0 to 3"),
        (b"P5\n90000 90000\n255\n", r"is too large: 90000 x 90000"),
        (b"P2\n2 1\n255\n1 x", r"samples that are no numbers"),
        (b"P5\n7", r"has a damaged header"),
        (b"P7\nWIDTH 7\nENDHDR\n", r"has a damaged header"),
        (b"P5\n0 5\n255\n", r"is its header damaged"),
    ],
)
def test_netpbm_that_is_damaged(tmp_path, content, message):
    (tmp_path / "a.pgm").write_bytes(content)
    with pytest.raises(DataError, match=r"a\.pgm .*" + message):
        read_planes(tmp_path / "a.pgm")
