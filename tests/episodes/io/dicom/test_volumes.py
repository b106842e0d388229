"""Series that hold more than one volume, copies, and slices that nothing tells apart."""

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from episodes.errors import DataError
from episodes.io.read import planes_of
from episodes.readers import read_catalog
from tests.episodes.dicom_files import segmentation, series, slice_file, uid, volume

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:highdicom")


def flat(value: int) -> np.ndarray:
    return np.full((4, 5), value, np.int16)


def volumes(root, **options) -> dict[str, list[int]]:
    """The volumes of a folder: the first voxel of each slice, by name."""
    catalog = read_catalog(root, **options)
    found = {}
    for sample in catalog.samples:
        name = sample.key.rpartition("#")[0].removeprefix(uid(1)).lstrip(".")
        if name not in found:
            found[name] = planes_of(sample.image)[:, 0, 0].tolist()
    return found


def write(root, rows):
    """Write slices (value, height in mm, elements), numbered as they come."""
    for number, (value, height, changes) in enumerate(rows, start=1):
        path = root / f"{number:02}.dcm"
        slice_file(path, flat(value), position=(0, 0, height), number=number, **changes)
    return root


TWO = {
    "echo": ("EchoNumbers", (1, 2)),
    "phase": ("ImageType", (["ORIGINAL", "PRIMARY", "M"], ["ORIGINAL", "PRIMARY", "P"])),
    "diffusion": ("DiffusionBValue", (0.0, 1000.0)),
    "time": ("TemporalPositionIdentifier", (1, 2)),
    "heart": ("TriggerTime", (40.0, 120.0)),
    "acquisition": ("AcquisitionNumber", (3, 4)),
    "thickness": ("SliceThickness", (1.0, 5.0)),
    "kernel": ("ConvolutionKernel", ("B30f", "B60f")),
    "clock": ("AcquisitionTime", ("101500.5", "101530.25")),
}


@pytest.mark.parametrize("name", TWO)
def test_what_lies_at_the_same_place_is_told_apart(tmp_path, name):
    tag, values = TWO[name]
    root = write(
        tmp_path,
        [(10 * n + z, 3.0 * z, {tag: v}) for z in range(3) for n, v in enumerate(values)],
    )
    found = volumes(root)
    assert list(found.values()) == [[0, 1, 2], [10, 11, 12]]
    assert all(key.startswith(f"{tag}=") for key in found)
    assert read_catalog(root).notes == (f"series {uid(1)} holds 2 volumes, told apart by {tag}",)
    assert read_catalog(root).subjects == ("P1",)


def test_names_do_not_depend_on_what_else_is_there(tmp_path):
    rows = [(10 * n + z, 3.0 * z, {"EchoNumbers": n + 1}) for z in range(3) for n in range(2)]
    write(tmp_path / "b", rows)
    before = {sample.key for sample in read_catalog(tmp_path).samples}
    series(tmp_path / "a", series=2, patient="P0")
    assert before < {sample.key for sample in read_catalog(tmp_path).samples}


def test_times_that_differ_by_slice_are_told_apart_by_their_order(tmp_path):
    rows = [
        (10 * n + z, 3.0 * z, {"TriggerTime": 100 * n + 7.5 * z})
        for z in range(4)
        for n in range(3)
    ]
    assert volumes(write(tmp_path, rows)) == {
        f"TriggerTime=number_{n + 1}": [10 * n + z for z in range(4)] for n in range(3)
    }


def test_two_tags_together(tmp_path):
    rows = [
        (10 * n + z, 3.0 * z, {"RepetitionTime": 1 + (n > 1), "FlipAngle": 1 + n % 2})
        for z in range(3)
        for n in range(4)
    ]
    found = volumes(write(tmp_path, rows))
    assert sorted(map(tuple, found.values())) == [
        tuple(10 * n + z for z in range(3)) for n in range(4)
    ]
    assert "RepetitionTime=1.0.FlipAngle=2.0" in found


def test_an_echo_that_lacks_slices_is_still_one_volume(tmp_path):
    rows = [(z, 3.0 * z, {"EchoNumbers": 1}) for z in range(4)]
    rows += [(10 + z, 3.0 * z + 1, {"EchoNumbers": 2}) for z in (0, 2)]
    assert list(volumes(write(tmp_path, rows)).values()) == [[0, 1, 2, 3], [10, 12]]


def test_slices_that_nothing_tells_apart_are_refused(tmp_path):
    rows = [(10 * n + z, 3.0 * z, {}) for z in range(3) for n in range(2)]
    with pytest.raises(
        DataError, match=r"01.dcm, 02.dcm lie at the same place .*EchoNumbers, Imag"
    ):
        read_catalog(write(tmp_path, rows))


def test_one_place_seen_again_and_again_is_a_sequence(tmp_path):
    assert volumes(write(tmp_path, [(n, 0.0, {}) for n in (3, 1, 2)])) == {"": [3, 1, 2]}


def test_copies_are_counted_once(tmp_path):
    series(tmp_path / "a")
    series(tmp_path / "b")
    catalog = read_catalog(tmp_path)
    assert len(catalog) == 3
    assert catalog.notes == (f"series {uid(1)}: 3 copies of slices are left out",)
    slice_file(tmp_path / "b" / "9.dcm", volume()[1], number=3)
    with pytest.raises(DataError, match=r"a/9.dcm and b/9.dcm have the same SOPInstanceUID"):
        read_catalog(tmp_path)


def test_copies_of_other_numbers_are_counted_once(tmp_path):
    write(tmp_path, [(z, 3.0 * z, {}) for z in (0, 1, 2, 0, 1, 2)])
    assert volumes(tmp_path) == {"": [0, 1, 2]}


def test_what_fits_into_no_array_is_a_volume_of_its_own(tmp_path):
    rows = [(z, 3.0 * z, {}) for z in range(3)]
    rows += [(10 + z, 3.0 * z, {"PixelSpacing": [0.5, 0.5]}) for z in range(3)]
    rows += [(20, 0.0, {"ImageOrientationPatient": [0, 1, 0, 0, 0, -1]})]
    found = volumes(write(tmp_path, rows))
    assert sorted(found) == [
        *("View=axial.PixelSpacing=0.5x0.5", "View=axial.PixelSpacing=1x1"),
        "View=sagittal.PixelSpacing=1x1",
    ]


def test_missing_slices_and_a_tilted_gantry_are_told(tmp_path):
    write(tmp_path / "gap", [(z, 3.0 * z, {}) for z in (0, 1, 2, 5, 6)])
    assert (
        "9 mm between slices 2 and 3, 3 mm between most" in read_catalog(tmp_path / "gap").notes[0]
    )
    write(tmp_path / "uneven", [(z, 3.0 * z + (z == 2), {}) for z in range(6)])
    assert "slices lie 2 to 4 mm apart" in read_catalog(tmp_path / "uneven").notes[0]
    for z in range(4):
        slice_file(tmp_path / "tilt" / f"{z}", flat(z), position=(0, z, 5.0 * z), number=z)
    assert "leans (a tilted gantry)" in read_catalog(tmp_path / "tilt").notes[0]


def enhanced(path, rows):
    """Write frames (value, height, echo time) of one file, in the order given."""
    data = slice_file(path, np.stack([flat(value) for value, *_ in rows])[0])
    del data.ImagePositionPatient, data.ImageOrientationPatient, data.PixelSpacing
    data.NumberOfFrames = len(rows)
    data.PixelData = np.stack([flat(value) for value, *_ in rows]).tobytes()

    def group(**names):
        found = Dataset()
        for sequence, (name, value) in names.items():
            inner = Dataset()
            setattr(inner, name, value)
            setattr(found, sequence, Sequence([inner]))
        return found

    data.SharedFunctionalGroupsSequence = Sequence(
        [
            group(
                PlaneOrientationSequence=("ImageOrientationPatient", [1, 0, 0, 0, 1, 0]),
                PixelMeasuresSequence=("PixelSpacing", [1, 1]),
            )
        ]
    )
    data.PerFrameFunctionalGroupsSequence = Sequence(
        [
            group(
                PlanePositionSequence=("ImagePositionPatient", [0, 0, height]),
                MREchoSequence=("EffectiveEchoTime", echo),
            )
            for _, height, echo in rows
        ]
    )
    data.save_as(path, enforce_file_format=True)


def test_frames_of_one_file_are_told_apart_too(tmp_path):
    rows = [(10 * n + z, 3.0 * z, 2.5 * n + 1) for z in (2, 0, 1) for n in range(2)]
    enhanced(tmp_path / "a.dcm", rows)
    assert volumes(tmp_path) == {
        "EffectiveEchoTime=1.0": [0, 1, 2],
        "EffectiveEchoTime=3.5": [10, 11, 12],
    }


def test_a_segmentation_goes_to_the_echo_that_it_refers_to(tmp_path):
    for echo in (1, 2):
        for z, plane in enumerate(volume()):
            slice_file(
                tmp_path / f"{echo}{z}.dcm",
                plane + echo,
                position=(0, 0, 2.5 * z),
                number=10 * echo + z,
                EchoNumbers=echo,
            )
    sources = [pydicom.dcmread(tmp_path / f"2{z}.dcm") for z in range(3)]
    mask = np.zeros((3, 8, 10, 1), np.uint8)
    mask[1, 2:4, 2:4] = 1
    segmentation(tmp_path / "seg.dcm", sources, mask, ("liver",))
    masked = {s.key.rpartition("#")[0][-1] for s in read_catalog(tmp_path).samples if s.masks}
    assert masked == {"2"}
    data = pydicom.dcmread(tmp_path / "seg.dcm")
    for group in data.PerFrameFunctionalGroupsSequence:
        del group.DerivationImageSequence
    data.save_as(tmp_path / "seg.dcm")
    with pytest.raises(DataError, match=r"lies on those of .*EchoNumbers=1, .*EchoNumbers=2; keep"):
        read_catalog(tmp_path)


def test_a_segmentation_on_another_grid_is_refused(tmp_path):
    segmentation(tmp_path / "seg.dcm", series(tmp_path), np.ones((3, 8, 10, 1), np.uint8), ("a",))
    data = pydicom.dcmread(tmp_path / "seg.dcm")
    data.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0].PixelSpacing = [2, 2]
    data.save_as(tmp_path / "seg.dcm")
    with pytest.raises(DataError, match=r"lies on no slice of .* was it drawn on their own grid"):
        read_catalog(tmp_path)


def test_files_without_pixels_are_left_out_and_counted(tmp_path):
    series(tmp_path)
    data = pydicom.dcmread(tmp_path / "8.dcm")
    for name in ("Rows", "Columns", "PixelData"):
        delattr(data, name)
    data.SOPClassUID = pydicom.uid.RTStructureSetStorage
    data.save_as(tmp_path / "contours.dcm")
    assert read_catalog(tmp_path).notes == (
        "1 files without pixels are left out: RT Structure Set Storage",
    )
