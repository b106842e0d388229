"""Masks whose headers put them elsewhere than their image: turned, placed, or refused."""

import itertools

import nibabel as nib
import numpy as np
import pytest

from episodes.catalog.catalog import Catalog
from episodes.catalog.class_areas import compute_class_areas
from episodes.errors import DataError
from episodes.io.mask_grid import Grid, align_mask
from episodes.io.read import labels_of, read_header, read_labels, read_planes
from episodes.io.voxel_grids import Placement
from episodes.masks.aligned import mask_source
from episodes.readers import read_catalog
from fewshot.evaluation.confusion_counts import GroundTruth
from fewshot.inference.support_set import read_support_set
from tests.conftest import orient

SHAPE = (10, 12, 5)
AFFINE = np.array([[-0.8, 0, 0, 30], [0, -0.8, 0, 40], [0, 0, 3, -20], [0, 0, 0, 1.0]])
ANGLE = np.radians(17)
TURN = np.array([[1, 0, 0], [0, np.cos(ANGLE), -np.sin(ANGLE)], [0, np.sin(ANGLE), np.cos(ANGLE)]])
OBLIQUE = np.block([[TURN @ AFFINE[:3, :3], AFFINE[:3, 3:]], [np.zeros((1, 3)), np.ones((1, 1))]])
CODES = [
    "".join(codes)
    for axes in itertools.permutations(("LR", "PA", "IS"))
    for codes in itertools.product(*axes)
]


def label() -> np.ndarray:
    values = np.zeros(SHAPE, np.uint8)
    values[2:5, 3:9, 1:3] = 1
    values[7, 1:4, 2:5] = 2
    return values


def save(path, values, affine, **header):
    image = affine if isinstance(affine, nib.Nifti1Image) else nib.Nifti1Image(values, affine)
    for name, value in header.items():
        image.header[name] = value
    nib.save(image, path)
    return path


@pytest.fixture
def image(tmp_path):
    """The intensities tell the label: 100 x its value."""
    return save(tmp_path / "image.nii.gz", label().astype(np.int16) * 100, AFFINE)


def placed(image, mask, **options):
    """Read a mask as the readers of data sets do."""
    grid = read_header(image).grid(image)
    return labels_of(mask_source(grid, mask, **options))


def agree(image, mask, **options):
    """Both ways of reading a pair put the label where the intensities are."""
    expected = read_planes(image) // 100
    np.testing.assert_array_equal(placed(image, mask, **options), expected)
    shots = read_support_set(image, mask, {1: "a", 2: "b"}, **options)
    np.testing.assert_array_equal(shots.maps[0], expected)


@pytest.mark.parametrize("codes", CODES)
@pytest.mark.parametrize("affine", [AFFINE, OBLIQUE], ids=["straight", "oblique"])
def test_a_mask_in_any_orientation_lies_on_its_image(tmp_path, codes, affine):
    image = save(tmp_path / "image.nii.gz", label().astype(np.int16) * 100, affine)
    agree(image, save(tmp_path / "mask.nii", None, orient(label(), affine, codes)))


REFUSED = {
    "shifted by 25 voxels": (AFFINE + 20 * np.eye(4, k=3), "its middle lies 20 mm away"),
    "shifted by half a voxel": (AFFINE + 0.4 * np.eye(4, k=3), "its middle lies 0.4 mm away"),
    "wide": (
        AFFINE @ np.diag([2, 2, 2, 1]),
        "its voxels measure 1.6 x 1.6 x 6 mm .* 0.8 x 0.8 x 3",
    ),
    "identity": (np.eye(4), "the affine of the mask is the identity"),
    "mirrored": (np.diag([-1, 1, 1, 1]) @ AFFINE, "its middle lies"),
    "turned": (OBLIQUE, "its axes are turned by 17.0 degrees"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_mask_elsewhere_is_refused_in_words_unless_the_user_decides(tmp_path, image, name):
    affine, words = REFUSED[name]
    mask = save(tmp_path / "mask.nii.gz", label(), affine)
    for reading in (placed, lambda *paths: read_support_set(*paths)):
        with pytest.raises(
            DataError, match=rf"mask.nii.gz does not lie .*{words}.*--ignore-affine"
        ):
            reading(image, mask)
    agree(image, mask, ignore_affine=True)


def test_a_mask_without_an_affine_is_refused(tmp_path, image):
    mask = save(tmp_path / "mask.nii.gz", label(), None)
    with pytest.raises(DataError, match=r"the mask has no affine and the image has one"):
        placed(image, mask)
    agree(image, mask, ignore_affine=True)
    plain = save(tmp_path / "plain.nii.gz", label() * 100, None)
    with pytest.raises(DataError, match=r"the image has no affine and the mask has one"):
        placed(plain, save(tmp_path / "own.nii.gz", label(), AFFINE))
    agree(plain, mask)  # neither has one: voxel for voxel


def test_headers_are_rounded(tmp_path, image):
    near = AFFINE.copy()
    near[:3] += np.random.default_rng(0).uniform(-1e-4, 1e-4, (3, 4))
    agree(image, save(tmp_path / "mask.nii.gz", label(), near.astype(np.float32)))


def test_a_cropped_mask_is_put_in_its_place(tmp_path, image):
    part = (slice(2, 9), slice(1, 12), slice(1, 5))
    start = np.eye(4)
    start[:3, 3] = [each.start for each in part]
    mask = save(tmp_path / "mask.nii.gz", label()[part], AFFINE @ start)
    with pytest.warns(UserWarning, match=r"mask.nii.gz has 4 x 11 x 7 voxels .* image 5 x 12 x 10"):
        agree(image, mask)
    with pytest.raises(DataError, match=r"needs the same number"):
        placed(image, mask, ignore_affine=True)


def test_a_mask_that_reaches_beyond_its_image_is_cut(tmp_path, image):
    start = np.eye(4)
    start[:3, 3] = -2
    wide = np.pad(label(), 2)
    wide[0] = 1
    with pytest.warns(UserWarning, match=r"put where its affine places it"):
        agree(image, save(tmp_path / "mask.nii.gz", wide, AFFINE @ start))


def test_the_qform_decides_where_the_sform_is_another(tmp_path):
    file = nib.Nifti1Image(label().astype(np.int16) * 100, AFFINE)
    file.set_qform(AFFINE, 1)
    file.set_sform(AFFINE + 7 * np.eye(4, k=3), 2)
    image = save(tmp_path / "image.nii.gz", None, file)
    mask = save(tmp_path / "mask.nii.gz", label(), AFFINE)
    with pytest.warns(UserWarning, match=r"lies on the qform of its image .* not on its sform"):
        agree(image, mask)


def test_an_sform_that_turns_the_axes_otherwise_is_told(tmp_path):
    file = nib.Nifti1Image(label(), AFFINE)
    file.set_qform(np.diag([-1, 1, 1, 1]) @ AFFINE, 1)
    with pytest.warns(UserWarning, match=r"the sform and the qform of .*a.nii.gz turn its axes"):
        read_header(save(tmp_path / "a.nii.gz", None, file))


def test_units_of_length(tmp_path, image):
    micron = save(
        tmp_path / "um.nii.gz", label() * 100, np.diag([1e3, 1e3, 1e3, 1]) @ AFFINE, xyzt_units=3
    )
    mask = save(tmp_path / "mm.nii.gz", label(), AFFINE, xyzt_units=2)
    with pytest.warns(
        UserWarning, match=r"measured in units of 1 mm and its image in units of 0.001"
    ):
        agree(micron, mask)
    assert read_header(micron).geometry.voxel_mm3 == pytest.approx(0.8 * 0.8 * 3)


def test_arrays_on_files(image):
    planes = read_labels(image) // 100
    with pytest.raises(
        DataError, match=r"array has no affine and the other has one.*ignore_affine"
    ):
        read_support_set(image, label())
    for mask in (label(), planes):  # in the file's order, as nibabel gives it; and as it is shown
        shots = read_support_set(image, mask, {1: "a", 2: "b"}, ignore_affine=True)
        np.testing.assert_array_equal(shots.maps[0], planes)
    with pytest.raises(DataError, match=r"fit on 10 x 12 x 5 in no ways"):
        read_support_set(image, label()[:, :, :3], ignore_affine=True)


def test_a_cube_fits_in_two_ways(tmp_path):
    image = save(tmp_path / "a.nii", np.zeros((4, 4, 4), np.uint8), np.diag([-1, -1, 2, 1]))
    with pytest.raises(DataError, match=r"in 2 ways. Save the mask as a NIfTI file"):
        read_support_set(image, np.ones((4, 4, 4), np.uint8), ignore_affine=True)


def test_a_nifti_mask_of_a_picture(tmp_path, make_png):
    flat = label()[:, :, 2]  # height 10, width 12
    picture = make_png(tmp_path / "a.png", flat * 100)
    itk = save(tmp_path / "itk.nii", flat.T[..., None], np.diag([-0.5, -0.5, 1, 1]))
    np.testing.assert_array_equal(placed(picture, itk)[0], flat)
    assert read_support_set(picture, itk, {1: "a", 2: "b"}).maps[0].shape == (1, 10, 12)
    plain = save(tmp_path / "plain.nii", flat, np.eye(4))
    with pytest.raises(DataError, match=r"a.png has no affine .* as a picture or stack"):
        placed(picture, plain)
    np.testing.assert_array_equal(placed(picture, plain, ignore_affine=True)[0], flat)


def test_data_sets_and_their_truth(tmp_path, nifti_set):
    """Labels stored in another orientation than their images have the same areas and pixels."""
    before = compute_class_areas(read_catalog(nifti_set))
    for number in range(3):
        path = nifti_set / f"label_{number}.nii.gz"
        stored = nib.load(path)
        save(path, None, orient(np.asarray(stored.dataobj), stored.affine, "SPL"))
    after = compute_class_areas(read_catalog(nifti_set))
    assert after.fingerprint == before.fingerprint
    key = after.samples[2].key
    np.testing.assert_array_equal(GroundTruth(after).labels(key), GroundTruth(before).labels(key))
    image = nib.load(nifti_set / "image_1.nii.gz")
    for number in (1, 2):
        save(nifti_set / f"label_{number}.nii.gz", np.ones(image.shape, np.uint8), np.eye(4))
    with pytest.raises(DataError, match=r"label_1.*identity.*\(and 1 more of 3 masks\)"):
        read_catalog(nifti_set)


class Own:
    """A reader that knows nothing of affines."""

    def recognises(self, root):
        return True

    def read(self, root, *, subject_pattern=None, label_map=None):
        return Catalog((), ())


def test_an_option_that_means_nothing_is_refused(tmp_path):
    assert len(read_catalog(tmp_path, readers=[Own()])) == 0
    with pytest.raises(DataError, match=r"is for masks that are NIfTI files; .* read as Own"):
        read_catalog(tmp_path, readers=[Own()], ignore_affine=True)


def test_a_placement_is_the_same_as_text():
    found = Placement((4, 5, 6), (2, 0, 1), (0, 2), (1, -2, 0), (7, 3, 5))
    assert Placement.of_member(found.member) == found
    with pytest.raises(DataError, match=r"Did the file change"):
        found.apply(np.zeros((4, 5, 7)))


def test_planes_without_any_geometry_lie_on_planes():
    assert align_mask(Grid("a", (1, 2, 3)), Grid("b", (1, 2, 3))) is None
