import nibabel as nib
import numpy as np
import pytest

from episodes.catalog.class_areas import compute_class_areas
from episodes.catalog.loader import Loader
from episodes.errors import DataError
from episodes.readers import read_catalog


def test_pairs_in_one_folder(nifti_set):
    catalog = read_catalog(nifti_set)
    assert catalog.subjects == ("0", "1", "2")
    assert catalog.classes == ("liver", "spleen")
    assert catalog.notes == ()
    assert [s.key for s in catalog.samples][:7] == [
        *(f"image_0.nii.gz#{plane}" for plane in range(6)),
        "image_1.nii.gz#0",
    ]
    assert {s.size for s in catalog.samples} == {(24, 28)}


def test_the_same_body_in_any_orientation_gives_the_same_samples(nifti_set):
    catalog = compute_class_areas(read_catalog(nifti_set))
    livers = [[s.areas.get("liver", 0) for s in catalog.samples if s.subject == n] for n in "012"]
    # truth[4:12, 5:15, 1:5] = 1: a rectangle of 8 x 10 voxels on four of six slices
    assert livers == [[0, 80, 80, 80, 80, 0]] * 3


def test_labels_fit_their_images_in_any_orientation(nifti_set):
    catalog = compute_class_areas(read_catalog(nifti_set))
    loader = Loader(size=32)
    first = [s for s in catalog.samples if s.key.endswith("#2")]
    labels = [loader.labels(s, ("liver",)) for s in first]
    for sample, label in zip(first, labels, strict=True):
        image = loader.image(sample)[0]
        assert image[label == 1].min() > image[label == 0].median() + 0.2
        assert (label == labels[0]).all()


def test_nnunet_layout(nnunet_set):
    catalog = compute_class_areas(read_catalog(nnunet_set))
    assert catalog.subjects == ("case_0", "case_1", "case_2")
    assert catalog.classes == ("1", "2")
    assert catalog.samples[0].key == "imagesTr/case_0_0000.nii.gz#0"


def test_words_in_names(tmp_path):
    volume = nib.Nifti1Image(np.zeros((4, 5, 6), np.uint8), np.eye(4))
    for name in ("p7.nii", "p7_seg.nii", "IMG-b.nii.gz", "b_Label.nii.gz", "image.nii", "mask.nii"):
        nib.save(volume, tmp_path / name)
    catalog = read_catalog(tmp_path)
    pairs = {s.image.path.name: s.masks[0].pixels.path.name for s in catalog.samples}
    assert pairs == {
        "p7.nii": "p7_seg.nii",
        "IMG-b.nii.gz": "b_Label.nii.gz",
        "image.nii": "mask.nii",
    }


def test_partners_that_lack_are_noted(nifti_set):
    (nifti_set / "label_1.nii.gz").unlink()
    (nifti_set / "image_2.nii.gz").unlink()
    catalog = read_catalog(nifti_set)
    assert catalog.notes == (
        "1 volumes without a label volume: 1",
        "1 label volumes without an image: 2",
    )
    assert [len(s.masks) for s in catalog.samples] == [1] * 6 + [0] * 6


def test_two_files_of_one_name(nifti_set):
    (nifti_set / "img_0.nii.gz").write_bytes((nifti_set / "image_0.nii.gz").read_bytes())
    with pytest.raises(DataError, match=r"image_0.nii.gz and img_0.nii.gz .* called '0' once the"):
        read_catalog(nifti_set)


def test_a_label_of_another_shape(nifti_set):
    small = nib.Nifti1Image(np.zeros((28, 24, 5), np.uint8), np.diag([-1, 1, 5, 1]))
    nib.save(small, nifti_set / "label_0.nii.gz")
    with pytest.raises(
        DataError, match=r"label_0.nii.gz does not lie on its image .*28 x 24 x 5 vox"
    ):
        read_catalog(nifti_set)


def test_a_label_whose_axes_point_elsewhere(nifti_set):
    image = nib.load(nifti_set / "image_0.nii.gz")
    turned = np.diag([-1, 1, 1, 1]) @ image.affine
    labels = np.zeros(image.shape, np.uint8)
    nib.save(nib.Nifti1Image(labels, turned), nifti_set / "label_0.nii.gz")
    with pytest.raises(DataError, match=r"its middle lies 27 mm away from .*--ignore-affine"):
        read_catalog(nifti_set)


def test_labels_without_images(nifti_set):
    for path in nifti_set.glob("image_*"):
        path.unlink()
    with pytest.raises(DataError, match=r"pairs holds no NIfTI image; expected e.g. image_1.nii"):
        read_catalog(nifti_set)


def test_a_damaged_header_is_named(nifti_set):
    (nifti_set / "image_1.nii.gz").write_bytes(b"hello")
    with pytest.raises(DataError, match=r"image_1.nii.gz is no readable NIfTI volume"):
        read_catalog(nifti_set)
