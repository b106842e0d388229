import struct

import nibabel as nib
import numpy as np
import pytest
from PIL import Image

from episodes.errors import DataError
from episodes.io.mask_colours import value_name
from episodes.io.read import (
    as_integer_labels,
    is_readable,
    read_header,
    read_image,
    read_labels,
    read_planes,
    replace_nonfinite,
    stem,
    suffix,
)

GREY = np.arange(12, dtype=np.uint8).reshape(3, 4)


def tiff(path, pixels, orientation=1, order="<"):
    """Write an uncompressed TIFF by hand; Pillow mixes up height and width of turned ones."""
    height, width = pixels.shape
    data = pixels.astype(pixels.dtype.newbyteorder(order)).tobytes()
    long, short = 4, 3
    tags = [
        *((256, long, width), (257, long, height), (258, short, 8 * pixels.itemsize)),
        *((259, short, 1), (262, short, 1), (273, long, 8), (274, short, orientation)),
        *((277, short, 1), (278, long, height), (279, long, len(data))),
    ]
    rows = [
        struct.pack(order + "HHI", tag, kind, 1)
        + (
            struct.pack(order + "HH", value, 0)
            if kind == short
            else struct.pack(order + "I", value)
        )
        for tag, kind, value in tags
    ]
    start = b"II*\0" if order == "<" else b"MM\0*"
    head = start + struct.pack(order + "I", 8 + len(data))
    path.write_bytes(head + data + struct.pack(order + "H", len(rows)) + b"".join(rows) + bytes(4))
    return path


UPRIGHT = {  # EXIF: where row 0 and column 0 of the stored picture are when it hangs upright
    1: GREY,
    2: GREY[:, ::-1],  # top right
    3: GREY[::-1, ::-1],  # bottom right
    4: GREY[::-1],  # bottom left
    5: GREY.T,  # left top
    6: GREY[::-1].T,  # right top: turn the file clockwise
    7: GREY[::-1, ::-1].T,  # right bottom
    8: GREY[:, ::-1].T,  # left bottom: turn the file counter-clockwise
}


@pytest.mark.parametrize("orientation", UPRIGHT)
@pytest.mark.parametrize("ending", ["png", "tif"])
def test_exif_orientation_is_applied_to_pixels_masks_and_header(tmp_path, orientation, ending):
    path = tmp_path / f"turned.{ending}"
    if ending == "tif":
        tiff(path, GREY, orientation)
    else:
        exif = Image.Exif()
        exif[0x0112] = orientation
        Image.fromarray(GREY).save(path, exif=exif)
    expected = UPRIGHT[orientation]
    np.testing.assert_array_equal(read_image(path), expected)
    np.testing.assert_array_equal(read_planes(path), expected[None])
    np.testing.assert_array_equal(read_labels(path), expected[None])
    assert read_header(path).size == expected.shape


def test_grey_depths_keep_their_values(tmp_path, make_png):
    deep = GREY.astype(np.uint16) * 5000
    pixels = read_image(make_png(tmp_path / "deep.png", deep))
    assert pixels.dtype == np.uint16
    np.testing.assert_array_equal(pixels, deep)
    Image.fromarray(GREY > 5).save(tmp_path / "one.png")
    np.testing.assert_array_equal(read_image(tmp_path / "one.png"), (GREY > 5) * np.uint8(255))
    np.testing.assert_array_equal(read_labels(tmp_path / "one.png")[0], GREY > 5)
    for order in "<>":
        labels = read_labels(tiff(tmp_path / "16.tif", deep, order=order))[0]
        np.testing.assert_array_equal(labels, deep)
        assert labels.dtype.isnative


def test_palette_is_colours_for_images_and_indices_for_masks(tmp_path):
    picture = Image.fromarray(GREY % 3).convert("P")
    picture.putpalette([10, 20, 30, 250, 0, 0, 0, 0, 250])
    picture.save(tmp_path / "palette.png")
    colours = np.array([[10, 20, 30], [250, 0, 0], [0, 0, 250]])
    np.testing.assert_array_equal(read_image(tmp_path / "palette.png"), colours[GREY % 3])
    np.testing.assert_array_equal(read_labels(tmp_path / "palette.png")[0], GREY % 3)


def test_transparency_is_shown_on_white(tmp_path, make_png):
    colour = np.array([[[200, 0, 0, 255], [200, 0, 0, 0]]], np.uint8)
    shown = [[[200, 0, 0], [255, 255, 255]]]
    np.testing.assert_array_equal(read_image(make_png(tmp_path / "rgba.png", colour)), shown)
    Image.fromarray(np.array([[[40, 255], [40, 0]]], np.uint8), "LA").save(tmp_path / "la.png")
    np.testing.assert_array_equal(read_image(tmp_path / "la.png"), [[40, 255]])
    np.testing.assert_array_equal(read_labels(tmp_path / "la.png"), [[[255, 0]]])  # drawn so
    keyed = Image.fromarray(np.array([[[9, 9, 9], [1, 2, 3]]], np.uint8))
    keyed.save(tmp_path / "keyed.png", transparency=(9, 9, 9))
    np.testing.assert_array_equal(
        read_image(tmp_path / "keyed.png"), [[[255, 255, 255], [1, 2, 3]]]
    )


def test_cmyk_becomes_three_channels(tmp_path):
    Image.new("CMYK", (4, 3), (0, 255, 255, 0)).save(tmp_path / "print.tif")
    np.testing.assert_array_equal(read_image(tmp_path / "print.tif")[0, 0], [255, 0, 0])


def test_nan_becomes_the_minimum_with_a_warning(tmp_path, make_png):
    values = np.array([[np.nan, 2.5], [-1.5, np.inf]], np.float32)
    path = make_png(tmp_path / "float.tif", values)
    with pytest.warns(UserWarning, match=r"float.tif: 2 of 4 pixels are NaN .* read as -1.5"):
        np.testing.assert_array_equal(read_image(path), [[-1.5, 2.5], [-1.5, -1.5]])
    empty = make_png(tmp_path / "empty.tif", np.full((2, 2), np.nan, np.float32))
    with pytest.raises(DataError, match=r"empty.tif holds no finite number at all; expected an"):
        read_image(empty)
    fine = np.array([1.0, 2.0])
    assert replace_nonfinite(fine, "fine") is fine


def test_stack_pages_are_planes(tmp_path):
    pages = [Image.fromarray(GREY + 20 * i) for i in range(3)]
    pages[0].save(tmp_path / "s.tif", save_all=True, append_images=pages[1:])
    header = read_header(tmp_path / "s.tif")
    assert (header.kind, header.size, header.planes) == ("volume", (3, 4), 3)
    expected = np.stack([GREY, GREY + 20, GREY + 40])
    np.testing.assert_array_equal(read_planes(tmp_path / "s.tif"), expected)
    np.testing.assert_array_equal(read_labels(tmp_path / "s.tif"), expected)
    with pytest.raises(
        DataError, match=r"s.tif has 3 planes .*; expected .* Read it with read_planes"
    ):
        read_image(tmp_path / "s.tif")


@pytest.mark.parametrize("read", [read_planes, read_labels])
def test_pages_of_different_shapes(tmp_path, read):
    pages = [Image.fromarray(GREY), Image.fromarray(GREY[:2])]
    pages[0].save(tmp_path / "mixed.tif", save_all=True, append_images=pages[1:])
    with pytest.raises(
        DataError, match=r"mixed.tif .*\(3, 4\), \(2, 4\).*expected one shape. Save them apart"
    ):
        read(tmp_path / "mixed.tif")


def test_colour_masks(tmp_path, make_png):
    grey = np.repeat(GREY[..., None], 3, axis=2)
    np.testing.assert_array_equal(read_labels(make_png(tmp_path / "same.png", grey))[0], GREY)
    grey[1, 1] = (1, 2, 3)
    labels = read_labels(make_png(tmp_path / "rgb.png", grey))[0]
    assert value_name(int(labels[1, 1])) == "#010203"
    labels[1, 1] = GREY[1, 1]
    np.testing.assert_array_equal(labels, GREY)
    noise = np.random.default_rng(0).integers(0, 256, (20, 20, 3), np.uint8)
    with pytest.raises(DataError, match=r"rgb.png is a colour picture of 400 colours.*exchanged"):
        read_labels(make_png(tmp_path / "rgb.png", noise))


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (1.5, r"holds 1.5; expected whole numbers.*thresholded first"),
        (np.nan, r"holds nan; expected whole numbers"),
        (np.inf, r"holds inf; expected whole numbers"),
        (-1.0, r"holds -1; expected numbers from 0 upwards"),
    ],
)
def test_masks_are_whole_numbers_from_0(tmp_path, make_png, value, message):
    path = make_png(tmp_path / "mask.tif", np.array([[0, value]], np.float32))
    with pytest.raises(DataError, match=r"mask\.tif " + message):
        read_labels(path)


def test_whole_numbers():
    assert as_integer_labels(np.array([True, False]), "m").dtype == np.uint8
    assert as_integer_labels(np.array([0.0, 3.0]), "m").tolist() == [0, 3]
    assert as_integer_labels(np.array([0.0, 3.0]), "m").dtype.kind == "i"
    assert as_integer_labels(np.array([258], ">u2"), "m").dtype.isnative
    assert as_integer_labels(np.array([258], ">u2"), "m").tolist() == [258]
    with pytest.raises(DataError, match="mask m holds -7"):
        as_integer_labels(np.array([3, -7]), "m")


def test_endings(tmp_path):
    assert suffix(tmp_path / "A.B.NII.GZ") == ".nii.gz"
    assert stem(tmp_path / "A.B.NII.GZ") == "A.B"
    assert stem(tmp_path / "x.dcm.png") == "x.dcm"
    assert not is_readable(tmp_path / "notes.txt")
    assert is_readable(tmp_path / "X.JPG")


def test_labels_of_a_big_endian_volume_are_native(tmp_path):
    header = nib.Nifti1Header(endianness=">")
    header.set_data_dtype(">i2")
    voxels = np.arange(24, dtype=">i2").reshape(2, 3, 4)
    nib.save(nib.Nifti1Image(voxels, np.diag([1, 1, 3, 1]), header), tmp_path / "big.nii")
    labels = read_labels(tmp_path / "big.nii")
    assert labels.dtype.isnative
    assert sorted(labels.ravel().tolist()) == list(range(24))
