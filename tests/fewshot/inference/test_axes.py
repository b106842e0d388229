"""Axes and channels of arrays, in memory and in files, of supports, masks and queries."""

import nibabel as nib
import numpy as np
import pytest
import tifffile

from episodes.errors import DataError
from episodes.io.array_axes import structure_of_array
from episodes.io.axes import Reading, Structure
from episodes.io.read import read_header, read_labels, read_planes
from fewshot.inference.inputs import image_planes, mask_planes
from tests.fewshot.conftest import disc_scene

ASK = Reading()


@pytest.mark.parametrize(
    ("shape", "axes"),
    [
        ((64, 64), "YX"),
        ((64, 64, 1), "YXC"),
        ((1, 64, 64), "ZYX"),
        ((1, 64, 64, 1), "ZYXC"),
        ((64, 64, 3), "YXC"),
        ((64, 64, 4), "YXC"),
        ((5, 64, 64), "ZYX"),
        ((7, 64, 64, 4), "ZYXC"),
        ((1, 20, 64, 64), "TZYX"),
    ],
)
def test_axes_that_a_shape_tells(shape, axes):
    found = structure_of_array(shape, "a.npy", ASK)
    assert (found.axes, found.certain) == (axes, True)


@pytest.mark.parametrize(
    ("shape", "orders"),
    [
        ((64, 64, 5), "YXC or YXZ"),
        ((64, 64, 20), "YXC or YXZ"),
        ((3, 64, 64), "CYX or ZYX"),
        ((2, 64, 64), "CYX or ZYX"),
        ((64, 64, 3, 10), "YXCZ or YXZC or YXZT"),
        ((10, 5, 64, 64), "TZYX or ZCYX or TCYX or CZYX"),
        ((1, 3, 64, 64), "QCYX or QZYX"),
    ],
)
def test_shapes_that_fit_several_orders_are_refused_with_them(shape, orders):
    with pytest.raises(DataError, match=rf"axes are not certain.*--axes {orders} \(axes= in"):
        structure_of_array(shape, "a.npy", ASK)
    with pytest.raises(DataError, match=r"save it as OME-TIFF"):
        structure_of_array(shape, "a.npy")
    for axes in orders.split(" or "):
        assert structure_of_array(shape, "a.npy", Reading(axes)).certain


def test_masks_have_planes_and_no_channels():
    assert structure_of_array((3, 64, 64), "m.npy", ASK, mask=True).axes == "ZYX"
    assert structure_of_array((2, 5, 64, 64), "m.npy", ASK, mask=True).planes == 10
    assert structure_of_array((20, 64, 64), "m.npy", Reading("ZYXC"), mask=True).axes == "ZYX"
    assert structure_of_array((64, 64), "m.npy", Reading("ZYXC"), mask=True).axes == "YX"


def test_a_cube_is_said(tmp_path):
    cube = np.zeros((9, 9, 9), np.uint8)
    with pytest.warns(UserWarning, match=r"9 x 9 x 9 read as ZYX \(9 planes, 9 x 9 pixels\)"):
        image_planes(cube)
    np.save(tmp_path / "cube.npy", cube)
    with pytest.warns(UserWarning, match=r"cube.npy: 9 x 9 x 9 read as ZYX .* --axes"):
        image_planes(tmp_path / "cube.npy")
    assert image_planes(tmp_path / "cube.npy", Reading("YXZ")).describe() == (
        "cube.npy: 9 x 9 x 9 read as YXZ (9 planes, 9 x 9 pixels)"
    )


@pytest.mark.parametrize(
    ("axes", "channels", "message"),
    [
        ("YX1", (), r"the axes are 'YX1'; expected a letter an axis"),
        ("YYX", (), r"name an axis twice"),
        ("ZY", (), r"expected a letter an axis: Y and X"),
        ("CYXS", (), r"C or S for channels"),
        (None, (0, 1, 2, 3), r"the channels are 0, 1, 2, 3; expected one to three"),
        (None, (1, 1), r"the channels are 1, 1; expected one to three different"),
        (None, (-1,), r"the channels are -1"),
        ("ZYXC", (), r"has 3 axes \(5 x 64 x 64\), but ZYXC names 4"),
        (None, (0, 7), r"has 1 channels; channel 7 is not there"),
    ],
)
def test_axes_and_channels_that_cannot_be(axes, channels, message):
    with pytest.raises(DataError, match=message):
        image_planes(np.zeros((5, 64, 64)), Reading(axes, channels))


def five(tmp_path):
    """Five channels in every kind of file, with the axes that have to be named; (0, 4) apart."""
    values = np.random.default_rng(0).integers(0, 999, (5, 20, 30)).astype(np.uint16)
    np.save(tmp_path / "first.npy", values)
    np.save(tmp_path / "last.npy", np.asfortranarray(np.moveaxis(values, 0, 2).astype(">u2")))
    tifffile.imwrite(tmp_path / "a.ome.tif", values, metadata={"axes": "CYX"})
    tifffile.imwrite(tmp_path / "b.tif", values, imagej=True, metadata={"axes": "CYX"})
    tifffile.imwrite(tmp_path / "c.tif", values)
    flat = np.moveaxis(values, 0, 2)
    tifffile.imwrite(tmp_path / "d.tif", flat, planarconfig="contig", photometric="minisblack")
    voxels = flat.transpose(1, 0, 2)[::-1, ::-1, None].astype(np.int16)
    nib.save(nib.Nifti1Image(voxels, np.diag([1, 1, 4, 1])), tmp_path / "e.nii.gz")
    axes = {"first.npy": "CYX", "last.npy": "YXC", "c.tif": "CYX"}
    return values, {path: axes.get(path.name) for path in sorted(tmp_path.iterdir())}


def test_channels_are_chosen_in_every_kind_of_file(tmp_path):
    values, files = five(tmp_path)
    for path, axes in files.items():
        two = image_planes(path, Reading(axes, (0, 4))).pixels
        assert two.shape == (1, 20, 30, 3), path
        if path.suffix != ".gz":  # NIfTI is shown as a radiologist looks at it
            np.testing.assert_array_equal(two[0, ..., 1], values[4])
        one = image_planes(path, Reading(axes, (3,))).pixels
        assert sorted(one.ravel()) == sorted(values[3].ravel())
        with pytest.raises(DataError, match=r"channel 5 is not there"):
            image_planes(path, Reading(axes, (5,)))
        if axes is None:
            with pytest.raises(DataError, match=r"--channels"):
                image_planes(path)


def test_names_in_a_file_stay_but_planes_may_be_channels(tmp_path):
    values = np.arange(5 * 8 * 9, dtype=np.uint16).reshape(5, 8, 9)
    tifffile.imwrite(tmp_path / "a.ome.tif", values, metadata={"axes": "ZYX"})
    np.testing.assert_array_equal(image_planes(tmp_path / "a.ome.tif").pixels, values)
    other = image_planes(tmp_path / "a.ome.tif", Reading("YXC"))
    np.testing.assert_array_equal(other.pixels, values)
    channel = image_planes(tmp_path / "a.ome.tif", Reading("CYX", (2,)))
    np.testing.assert_array_equal(channel.pixels[0], values[2])


@pytest.mark.parametrize("channels", [(0,), (0, 1), (0, 1, 2)])
def test_header_and_pixels_agree(tmp_path, channels):
    _, files = five(tmp_path)
    for path, axes in files.items():
        reading = Reading(axes, channels)
        header, pixels = read_header(path, reading), read_planes(path, reading)
        assert (header.planes, *header.size) == pixels.shape[:3]


def test_transparency_of_arrays_is_known_or_refused():
    colours = np.random.default_rng(0).integers(0, 255, (20, 30, 4), np.uint8)
    with pytest.raises(DataError, match=r"may be transparency or a stain; choose up to three"):
        image_planes(colours)
    np.testing.assert_array_equal(
        image_planes(colours, Reading(channels=(0, 1, 2))).pixels[0], colours[..., :3]
    )
    colours[..., 3] = 255
    np.testing.assert_array_equal(image_planes(colours).pixels[0], colours[..., :3])


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (np.zeros((4, 4)) * 1j, r"a.npy holds complex128; expected numbers"),
        (np.zeros((4, 4), [("a", "u1")]), r"a.npy holds .*; expected numbers"),
        (np.array([[1, None]], object), r"a.npy holds object; expected numbers"),
        (np.zeros((0, 4)), r"declares 0 x 4"),
        (np.array(3), r"a.npy holds a single number"),
        (np.zeros(7), r"a.npy has 1 axes; expected height and width"),
    ],
)
def test_arrays_in_files_that_are_refused(tmp_path, values, message):
    np.save(tmp_path / "a.npy", values, allow_pickle=True)
    for read in (image_planes, mask_planes):
        with pytest.raises(DataError, match=message):
            read(tmp_path / "a.npy")


def test_archives_hold_one_array(tmp_path):
    np.savez(tmp_path / "one.npz", anything=np.ones((4, 5)))
    assert image_planes(tmp_path / "one.npz").pixels.shape == (1, 4, 5)
    np.savez(tmp_path / "two.npz", a=np.ones((4, 5)), b=np.ones((4, 5)))
    with pytest.raises(DataError, match=r"two.npz holds 2 arrays \(a, b\); expected one"):
        image_planes(tmp_path / "two.npz")
    (tmp_path / "pickled.npy").write_bytes(b"\x80\x04\x95")
    with pytest.raises(DataError, match=r"pickled.npy is no NumPy array"):
        image_planes(tmp_path / "pickled.npy")


@pytest.mark.parametrize("axes", ["YXZ", "ZYX", "XYZ", "TZYX", "YXCZ", "QYXQ"])
def test_from_planes_undoes_the_order(axes):
    lengths = {"T": 2, "Z": 3, "Y": 4, "X": 5, "C": 2, "Q": 1}
    kept = [letter for letter in axes if letter != "C"]
    values = np.arange(np.prod([lengths[x] for x in kept])).reshape([lengths[x] for x in kept])
    full = np.stack([values] * 2, axes.index("C")) if "C" in axes else values
    found = Structure(axes, full.shape)
    pixels = image_planes(full, Reading(axes, (0,) if "C" in axes else ())).pixels
    np.testing.assert_array_equal(found.from_planes(pixels), values)


def test_a_result_is_indexed_as_the_array_was(segmenter, tmp_path):
    image, labels = disc_scene(0)
    support = segmenter.learn(image, labels == 1)
    volume = np.stack([image, image[::-1], image])
    first = segmenter.segment(volume, support, axes="ZYX").mask
    last = segmenter.segment(np.moveaxis(volume, 0, 2), support, axes="YXZ")
    np.testing.assert_array_equal(np.moveaxis(last.mask, 2, 0), first)
    assert last.confidence.shape == (*image.shape, 3)
    np.save(tmp_path / "q.npy", np.moveaxis(volume, 0, 2))
    result = segmenter.segment(tmp_path / "q.npy", support, axes="YXZ")
    assert result.default_name() == "q.npy"
    written = np.load(result.save(tmp_path / "out.npy"))
    np.testing.assert_array_equal(written, last.mask)
    shown = read_labels(result.save(tmp_path / "out.tif"))
    np.testing.assert_array_equal(shown, first)


def test_arrays_are_learned_with_their_masks(segmenter):
    image, labels = disc_scene(0)
    stains = np.stack([image, 255 - image, image, image, image], 2)
    support = segmenter.learn(stains, labels == 1, axes="YXC", channels=(0,))
    expected = segmenter.segment(image, segmenter.learn(image, labels == 1)).mask
    found = segmenter.segment(stains, support, axes="YXC", channels=(0,)).mask
    np.testing.assert_array_equal(found, expected)
