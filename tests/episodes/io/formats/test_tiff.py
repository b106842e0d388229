import struct

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from episodes.catalog.class_areas import compute_class_areas
from episodes.errors import DataError
from episodes.io.axes import Structure, arrange
from episodes.io.read import planes_of, read_header, read_image, read_labels, read_planes
from episodes.readers import read_catalog, tiff

VALUES = np.random.default_rng(0).integers(0, 60_000, (2, 3, 4, 12, 16)).astype(np.uint16)


def write(path, values, axes, **more):
    path.parent.mkdir(parents=True, exist_ok=True)
    more = {"photometric": "minisblack"} | more
    tifffile.imwrite(path, values, metadata={"axes": axes}, **more)
    return path


@pytest.mark.parametrize("ending", ["ome.tif", "tif"])
@pytest.mark.parametrize(
    ("axes", "index", "planes"),
    [
        ("ZYX", np.s_[0, 0], VALUES[0, 0]),
        ("TZYX", np.s_[:, 0], VALUES[:, 0].reshape(8, 12, 16)),
        ("CZYX", np.s_[0, :, 0:4], np.moveaxis(VALUES[0], 0, 3)),
        ("ZCYX", np.s_[0], None),
        ("CYX", np.s_[0, :, 0], np.moveaxis(VALUES[0, :, 0], 0, 2)[None]),
        ("YX", np.s_[0, 0, 0], VALUES[0, 0, :1]),
    ],
)
def test_axes_of_metadata(tmp_path, ending, axes, index, planes):
    values = VALUES[index]
    if axes == "ZCYX":  # three planes of four channels: too many to show
        path = write(tmp_path / f"a.{ending}", values, axes, imagej=ending == "tif")
        with pytest.raises(DataError, match=r"has 4 channels \(axes ZCYX\); .*read\(folder, chan"):
            read_planes(path)
        return
    if ending == "tif" and axes == "CZYX":
        values, axes = values.swapaxes(0, 1), "ZCYX"  # ImageJ keeps one order
    path = write(tmp_path / f"a.{ending}", values, axes, imagej=ending == "tif")
    np.testing.assert_array_equal(read_planes(path), planes)
    header = read_header(path)
    assert (header.planes, header.size) == (len(planes), (12, 16))
    assert header.kind == ("volume" if len(planes) > 1 else "image")


def test_two_channels_are_red_and_green(tmp_path):
    path = write(tmp_path / "a.ome.tif", VALUES[0, :2, 0], "CYX")
    found = read_image(path)
    np.testing.assert_array_equal(found[..., :2], np.moveaxis(VALUES[0, :2, 0], 0, 2))
    assert not found[..., 2].any()


def test_colours_of_16_bits_and_transparency(tmp_path):
    colours = np.moveaxis(VALUES[0, 0], 0, 2)
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, colours, photometric="rgb", extrasamples=["unassalpha"])
    share = colours[..., 3:] / 65_535
    white = np.rint(colours[..., :3] * share + 65_535 * (1 - share))
    np.testing.assert_array_equal(read_image(path), white)
    tifffile.imwrite(path, colours[..., :3], photometric="rgb")
    np.testing.assert_array_equal(read_image(path), colours[..., :3])


@pytest.mark.parametrize("dtype", ["float64", "int8", "uint32", "float16"])
def test_types_that_pillow_lacks(tmp_path, dtype):
    values = (VALUES[0, 0, 0] % 100).astype(dtype)
    tifffile.imwrite(tmp_path / "a.tif", values)
    np.testing.assert_array_equal(read_image(tmp_path / "a.tif"), values)
    np.testing.assert_array_equal(read_labels(tmp_path / "a.tif")[0], values)


def test_compressed_channels(tmp_path):
    values = (VALUES[0, :, :1] % 256).astype(np.uint8)
    path = write(tmp_path / "a.ome.tif", values, "CZYX", compression="zlib")
    np.testing.assert_array_equal(read_planes(path), np.moveaxis(values, 0, 3))


def test_a_mask_of_channels_is_refused(tmp_path):
    path = write(tmp_path / "a.ome.tif", VALUES[0, :, 0], "CYX")
    with pytest.raises(DataError, match=r"mask .*a.ome.tif has 3 channels \(axes CYX\)"):
        read_labels(path)


def test_a_header_that_declares_more_than_the_file_has(tmp_path):
    path = write(tmp_path / "a.ome.tif", VALUES[0, :, 0], "CYX")
    content = bytearray(path.read_bytes())
    (first,) = struct.unpack_from("<I", content, 4)
    for place in range(first + 2, first + 2 + 12 * 8, 12):
        if struct.unpack_from("<H", content, place)[0] in (256, 257):
            struct.pack_into("<HII", content, place + 2, 4, 1, 9_000)
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"a.ome.tif (declares|cannot be read|is too large)"):
        read_planes(path)


def test_parts_in_other_files_are_not_opened(tmp_path):
    path = write(tmp_path / "a.ome.tif", VALUES[0, 0], "ZYX")
    text = path.read_bytes().replace(
        b"<TiffData ", b"<TiffData><UUID FileName='../b.tif'>x</UUID>", 1
    )
    path.write_bytes(text)
    try:
        planes = read_planes(path)
    except DataError:
        return
    assert planes.shape[1:] == (12, 16)


@settings(max_examples=60, deadline=None)
@given(st.permutations("TZCYX"))
def test_arrange_is_indexing_by_name(order):
    axes = "".join(order)
    lengths = {"T": 2, "Z": 3, "C": 3, "Y": 4, "X": 5}
    shape = tuple(lengths[letter] for letter in axes)
    values = np.arange(np.prod(shape)).reshape(shape)
    planes = arrange(values, Structure(axes, shape), "a")
    first = "TZ" if axes.index("T") < axes.index("Z") else "ZT"
    for t in range(2):
        for z in range(3):
            at = t * 3 + z if first == "TZ" else z * 2 + t
            place = {"T": t, "Z": z, "C": 1, "Y": 2, "X": 4}
            assert planes[at, 2, 4, 1] == values[tuple(place[letter] for letter in axes)]


@pytest.mark.parametrize(
    ("axes", "shape"), [("ZX", (2, 3)), ("CYXS", (3, 4, 5, 3)), ("YYX", (2, 3, 4)), ("YX", (2,))]
)
def test_axes_that_are_refused(axes, shape):
    with pytest.raises(DataError, match=r"the axes"):
        Structure(axes, shape)


def test_pairs_in_one_folder(tmp_path):
    for number in range(2):
        write(tmp_path / f"cell_{number}.ome.tif", VALUES[number, 0], "ZYX")
        mask = (VALUES[number, 0] > 30_000).astype(np.uint16)
        write(tmp_path / f"cell_{number}_mask.ome.tif", mask, "ZYX")
    catalog = compute_class_areas(read_catalog(tmp_path))
    assert catalog.layout == "tiff"
    assert len(catalog.subjects) == 2
    assert [s.key for s in catalog.samples][:2] == ["cell_0.ome.tif#0", "cell_0.ome.tif#1"]
    assert catalog.samples[1].areas["foreground"] == (VALUES[0, 0, 1] > 30_000).sum()


def test_one_channel_of_a_folder(tmp_path):
    write(tmp_path / "images" / "a.ome.tif", VALUES[0].swapaxes(0, 1), "CZYX")
    write(tmp_path / "masks" / "a.ome.tif", (VALUES[0, :, 0] > 9).astype(np.uint8), "ZYX")
    catalog = tiff.read(tmp_path, channel=3)
    found = planes_of(catalog.samples[0].image)
    np.testing.assert_array_equal(found, VALUES[0, :, 3])
    wrong = tiff.read(tmp_path, channel=4)
    with pytest.raises(DataError, match=r"has 4 channels; channel 4 is not there"):
        planes_of(wrong.samples[0].image)


def test_channels_of_plain_pictures(tmp_path):
    colours = (VALUES[0, 0, :3] % 256).astype(np.uint8).transpose(1, 2, 0)
    Image.fromarray(colours).save(tmp_path / "a.tif")
    np.testing.assert_array_equal(tiff.read_channel(tmp_path / "a.tif", "1")[0], colours[..., 1])
    with pytest.raises(DataError, match=r"has 3 channels; channel 3 is not there"):
        tiff.read_channel(tmp_path / "a.tif", "3")


def test_a_mask_of_other_planes(tmp_path):
    write(tmp_path / "a.tif", VALUES[0, 0], "ZYX", imagej=True)
    write(tmp_path / "a_mask.tif", VALUES[0, 0, :3], "ZYX", imagej=True)
    with pytest.raises(DataError, match=r"a_mask.tif has 3 planes of .* has 4 planes of"):
        read_catalog(tmp_path)
