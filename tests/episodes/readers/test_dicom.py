import sys

import numpy as np
import pydicom
import pytest

from episodes.catalog.class_areas import compute_class_areas
from episodes.catalog.loader import Loader
from episodes.errors import DataError
from episodes.io.dicom.planes import read_header
from episodes.io.read import planes_of
from episodes.readers import read_catalog
from tests.episodes.dicom_files import segmentation, series, slice_file, uid, volume

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:highdicom")


def planes(catalog):
    return planes_of(catalog.samples[0].image)


def test_slices_are_sorted_along_the_normal(tmp_path):
    series(tmp_path / "ct")
    catalog = read_catalog(tmp_path)
    assert catalog.layout == "dicom"
    assert [sample.image.plane for sample in catalog.samples] == [0, 1, 2]
    assert catalog.samples[0].key == f"{uid(1)}#0"
    assert catalog.subjects == ("P1",)
    assert catalog.samples[0].size == (8, 10)
    np.testing.assert_array_equal(planes(catalog), volume())


def test_a_plane_that_is_tilted_is_sorted_along_its_own_normal(tmp_path):
    # Sagittal: rows run along y, columns along -z, so that the normal is y x -z = -x.
    for x in (5.0, -3.0, 1.0):
        pixels = np.full((4, 4), int(10 + x), np.int16)
        slice_file(
            tmp_path / f"{x}.dcm",
            pixels,
            position=(x, 0, 0),
            orientation=(0, 1, 0, 0, 0, -1),
            number=int(x) + 9,
        )
    assert planes(read_catalog(tmp_path))[:, 0, 0].tolist() == [15, 11, 7]


def test_slope_and_intercept(tmp_path):
    series(tmp_path, RescaleSlope=2, RescaleIntercept=-1024, RescaleType="HU")
    found = planes(read_catalog(tmp_path))
    np.testing.assert_array_equal(found, volume() * 2.0 - 1024)
    assert found.dtype == np.float32


def test_monochrome1_is_turned_over(tmp_path):
    series(tmp_path, PhotometricInterpretation="MONOCHROME1")
    np.testing.assert_array_equal(planes(read_catalog(tmp_path)), volume().max() - volume())


def test_colour(tmp_path):
    pixels = np.arange(36, dtype=np.uint8).reshape(3, 4, 3)
    slice_file(tmp_path / "a.dcm", pixels)
    np.testing.assert_array_equal(planes(read_catalog(tmp_path))[0], pixels)


def test_series_are_volumes_and_a_localizer_stands_apart(tmp_path):
    series(tmp_path / "a")
    series(tmp_path / "b", series=2, patient="P2")
    slice_file(tmp_path / "a" / "0.dcm", np.zeros((5, 6), np.uint8), number=9)
    catalog = read_catalog(tmp_path)
    assert catalog.subjects == ("P1", "P2")
    assert sorted({sample.key.split("#")[0] for sample in catalog.samples}) == [
        *(f"{uid(1)}.Size=5x6", f"{uid(1)}.Size=8x10", uid(2))
    ]
    assert [s.size for s in catalog.samples] == [(5, 6)] + [(8, 10)] * 6
    assert read_catalog(tmp_path, subject_pattern=r"^[^/]+").subjects == ("a", "b")


def test_files_without_an_ending_are_found_and_others_passed_over(tmp_path):
    series(tmp_path)
    for number in (7, 8, 9):
        (tmp_path / f"{number}.dcm").rename(tmp_path / f"IM00{number}")
    (tmp_path / "notes").write_text("hello")
    (tmp_path / "DICOMDIR").write_text("hello")
    np.testing.assert_array_equal(planes(read_catalog(tmp_path)), volume())


def masks():
    mask = np.zeros((3, 8, 10, 2), np.uint8)
    mask[1, 2:4, 3:6, 0] = 1
    mask[2, 5:, 5:, 0] = 1
    mask[0, :2, :5, 1] = 1
    return mask


@pytest.mark.parametrize("kind", ["BINARY", "FRACTIONAL"])
def test_segments_lie_on_the_slices_they_refer_to(tmp_path, kind):
    sources = series(tmp_path / "ct")
    mask = masks().astype(np.float32) if kind == "FRACTIONAL" else masks()
    segmentation(tmp_path / "seg.dcm", sources, mask, ("liver", "spleen"), kind)
    catalog = compute_class_areas(read_catalog(tmp_path))
    assert set(catalog.classes) == {"liver", "spleen"}
    assert [s.areas for s in catalog.samples] == [
        {"liver": 0, "spleen": 10},
        {"liver": 6, "spleen": 0},
        {"liver": 15, "spleen": 0},
    ]
    labels = Loader(32).labels(catalog.samples[1], ("liver",))
    assert (labels == 1).sum() > 0


def test_segments_that_touch_may_be_one_label_map(tmp_path):
    sources = series(tmp_path / "ct")
    labels = masks()[..., 0] + 2 * masks()[..., 1]
    segmentation(tmp_path / "seg.dcm", sources, labels, ("liver", "spleen"), "LABELMAP")
    assert [s.areas for s in compute_class_areas(read_catalog(tmp_path)).samples] == [
        {"liver": 0, "spleen": 10},
        {"liver": 6, "spleen": 0},
        {"liver": 15, "spleen": 0},
    ]


def test_a_frame_without_a_reference_is_matched_by_its_position(tmp_path):
    sources = series(tmp_path / "ct")
    segmentation(tmp_path / "seg.dcm", sources, masks(), ("liver", "spleen"))
    data = pydicom.dcmread(tmp_path / "seg.dcm")
    for group in data.PerFrameFunctionalGroupsSequence:
        del group.DerivationImageSequence
    data.save_as(tmp_path / "seg.dcm")
    assert [s.areas["liver"] for s in compute_class_areas(read_catalog(tmp_path)).samples] == [
        0,
        6,
        15,
    ]
    for file in ("8.dcm", "9.dcm"):
        (tmp_path / "ct" / file).unlink()
    with pytest.raises(DataError, match=r"a frame of .*seg.dcm at .* lies on no slice"):
        read_catalog(tmp_path)


def test_one_name_for_all_segments(tmp_path):
    segmentation(tmp_path / "seg.dcm", series(tmp_path), masks(), ("liver", "spleen"))
    assert read_catalog(tmp_path, label_map="organ").classes == ("organ",)
    with pytest.raises(DataError, match=r"segments have names: expected one name or none"):
        read_catalog(tmp_path, label_map={1: "organ"})


def test_a_file_of_several_frames(tmp_path):
    data = slice_file(tmp_path / "a.dcm", volume()[0])
    data.NumberOfFrames, data.PixelData = 3, volume().tobytes()
    data.save_as(tmp_path / "a.dcm", enforce_file_format=True)
    np.testing.assert_array_equal(planes(read_catalog(tmp_path)), volume())


def test_the_header_is_checked_before_pixels_are_read(tmp_path):
    slice_file(tmp_path / "a.dcm", volume()[0], Rows=60_000, Columns=60_000)
    with pytest.raises(DataError, match=r"a.dcm declares 1 x 60000 x 60000 = 3,600,000,000"):
        read_catalog(tmp_path)


def test_fewer_pixels_than_declared(tmp_path):
    slice_file(tmp_path / "a.dcm", volume()[0], Rows=100, Columns=100)
    with pytest.raises(DataError, match=r"a.dcm cannot be read as DICOM"):
        planes(read_catalog(tmp_path))


def test_pixels_that_nothing_unpacks(tmp_path):
    data = slice_file(tmp_path / "a.dcm", volume()[0].astype(np.uint16))
    data.PixelData = pydicom.encaps.encapsulate([b"\xff\x4f\xff\x51 no JPEG 2000"])
    data["PixelData"].VR = "OB"
    data.file_meta.TransferSyntaxUID = pydicom.uid.JPEG2000Lossless
    data.save_as(tmp_path / "a.dcm", enforce_file_format=True)
    with pytest.raises(DataError, match=r"a.dcm is compressed .JPEG 2000.*cannot be unp"):
        planes(read_catalog(tmp_path))


def test_run_lengths_need_no_plug_in(tmp_path):
    data = slice_file(tmp_path / "a.dcm", volume()[0])
    data.compress(pydicom.uid.RLELossless, encoding_plugin="pydicom", generate_instance_uid=False)
    data.save_as(tmp_path / "a.dcm", enforce_file_format=True)
    np.testing.assert_array_equal(planes(read_catalog(tmp_path))[0], volume()[0])


def test_what_is_no_dicom(tmp_path):
    (tmp_path / "a.dcm").write_bytes(b"hello, I am text" * 20)
    with pytest.raises(
        DataError, match=r"a.dcm cannot be read as DICOM: it begins neither .*is it complete"
    ):
        read_catalog(tmp_path)


def test_deflated_headers_are_refused(tmp_path):
    data = slice_file(tmp_path / "a.dcm", volume()[0])
    data.file_meta.TransferSyntaxUID = pydicom.uid.DeflatedExplicitVRLittleEndian
    data.save_as(tmp_path / "a.dcm", enforce_file_format=True)
    with pytest.raises(DataError, match=r"a.dcm is a deflated DICOM file"):
        read_header(tmp_path / "a.dcm")


def test_without_pydicom_the_extra_is_named(tmp_path, monkeypatch):
    slice_file(tmp_path / "a.dcm", volume()[0])
    monkeypatch.setitem(sys.modules, "pydicom", None)
    with pytest.raises(DataError, match=r"needs pydicom.*pip install 'fewshot-segmentation\[med"):
        read_catalog(tmp_path)


def test_a_file_that_ends_within_its_pixels(tmp_path):
    slice_file(tmp_path / "a.dcm", volume()[0])
    content = (tmp_path / "a.dcm").read_bytes()
    (tmp_path / "a.dcm").write_bytes(content[:-20])
    with pytest.raises(DataError, match=r"a.dcm cannot be read as DICOM"):
        planes(read_catalog(tmp_path))
