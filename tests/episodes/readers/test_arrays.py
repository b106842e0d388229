import io
import zipfile

import numpy as np
import pytest

from episodes.catalog.class_areas import compute_class_areas
from episodes.catalog.loader import Loader
from episodes.errors import DataError
from episodes.io.read import planes_of
from episodes.readers import read_catalog

IMAGES = np.random.default_rng(0).integers(0, 4000, (3, 12, 16)).astype(np.uint16)
MASKS = (IMAGES > 2000).astype(np.uint8)


def pixels(catalog):
    return [planes_of(sample.image)[0] for sample in catalog.samples]


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
@pytest.mark.parametrize("names", [("images", "masks"), ("train_images", "train_label")])
def test_archives(tmp_path, save, names):
    save(tmp_path / "a.npz", **dict(zip(names, (IMAGES, MASKS), strict=True)))
    catalog = compute_class_areas(read_catalog(tmp_path))
    assert catalog.layout == "arrays"
    assert [s.key for s in catalog.samples] == [f"a.npz/{names[0]}/{n}" for n in range(3)]
    assert len(catalog.subjects) == 3
    np.testing.assert_array_equal(pixels(catalog), IMAGES)
    assert [s.areas["foreground"] for s in catalog.samples] == MASKS.sum((1, 2)).tolist()


def test_one_file_a_case(tmp_path):
    for number in range(3):
        np.savez(tmp_path / f"case_{number}.npz", image=IMAGES[number], label=MASKS[number])
    catalog = read_catalog(tmp_path, subject_pattern=r"case_\d", label_map={1: "organ"})
    assert catalog.subjects == ("case_0", "case_1", "case_2")
    np.testing.assert_array_equal(pixels(compute_class_areas(catalog)), IMAGES)


@pytest.mark.parametrize("order", ["C", "F"])
def test_plain_arrays_in_both_orders(tmp_path, order):
    np.save(tmp_path / "images.npy", np.asarray(IMAGES, order=order))
    np.save(tmp_path / "masks.npy", np.asarray(MASKS, order=order))
    (tmp_path / "classes.json").write_text('{"1": "bright"}')
    catalog = compute_class_areas(read_catalog(tmp_path))
    np.testing.assert_array_equal(pixels(catalog), IMAGES)
    assert catalog.classes == ("bright",)
    labels = Loader(32).labels(catalog.samples[1], ("bright",))
    assert set(labels.unique().tolist()) == {0, 1, 255}


def test_colour_and_single_channels(tmp_path):
    np.savez(tmp_path / "a.npz", images=np.stack([IMAGES] * 3, 3))
    np.savez(tmp_path / "b.npz", images=IMAGES[..., None])
    shapes = [planes_of(sample.image).shape for sample in read_catalog(tmp_path).samples]
    assert shapes == [(1, 12, 16, 3)] * 3 + [(1, 12, 16)] * 3


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"images": np.array([{}, 3], object)}, r"a.npz images holds object; expected numbers"),
        ({"images": np.array(["a"])}, r"a.npz images holds <U1; expected numbers"),
        ({"images": IMAGES * 1j}, r"holds complex128; expected numbers"),
        ({"images": IMAGES[0, 0]}, r"a.npz images has the shape \(16,\); expected \[item"),
        ({"images": np.zeros((2, 4, 4, 5))}, r"has the shape \(2, 4, 4, 5\); expected"),
        ({"images": np.zeros((16, 16, 3))}, r"one picture .* last, or 16 items of 16 x 3 pixels"),
        ({"images": np.zeros((9, 9, 5))}, r"or 9 items of 9 x 5 pixels; save it as"),
        ({"images": IMAGES, "masks": MASKS[:2]}, r"masks in .*a.npz have the shape \(2, 12, 16\)"),
        ({"images": IMAGES[:, :0]}, r"declares 3 x 0 x 16 = 0 values"),
    ],
)
@pytest.mark.filterwarnings("ignore")
def test_arrays_that_are_refused(tmp_path, arrays, message):
    np.savez(tmp_path / "a.npz", **arrays)
    with pytest.raises(DataError, match=message):
        read_catalog(tmp_path)


def header(shape, dtype="<u2"):
    content = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        content, {"shape": shape, "fortran_order": False, "descr": dtype}
    )
    return content.getvalue()


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((3, 10**6, 10**6), r"declares .*3,?000,000,000,000|1000000 x 1000000"),
        ((3, 12, 17), r"declares 1,224 bytes; it has at most"),
        ((3, 12, -16), r"declares"),
    ],
)
def test_headers_that_lie(tmp_path, shape, message):
    (tmp_path / "images.npy").write_bytes(header(shape) + bytes(100))
    with pytest.raises(DataError, match=message):
        read_catalog(tmp_path)
    (tmp_path / "images.npy").unlink()
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as file:
        file.writestr("images.npy", header(shape) + bytes(100))
    with pytest.raises(DataError, match=message):
        read_catalog(tmp_path)


def test_a_file_that_changed_is_read_again(tmp_path):
    np.savez(tmp_path / "a.npz", images=IMAGES)
    np.testing.assert_array_equal(pixels(read_catalog(tmp_path)), IMAGES)
    np.savez(tmp_path / "a.npz", images=IMAGES + 1)
    np.testing.assert_array_equal(pixels(read_catalog(tmp_path)), IMAGES + 1)
