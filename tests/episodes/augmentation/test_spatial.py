import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torchvision.transforms import InterpolationMode
from torchvision.transforms.v2 import functional

from episodes.augmentation.compose import MEDICAL, SSL_ALPNET, Compose, PerImage, Sometimes
from episodes.augmentation.intensity import Gamma
from episodes.augmentation.resample import affine_matrix, resample
from episodes.augmentation.spatial import Affine, CropResize, CutOut, Elastic, Flip, Warp
from episodes.errors import EpisodeError

GEOMETRIC = [
    Affine(rotation=40, translation=0.1, shear=15, scale=(0.7, 1.4)),
    Elastic(alpha=300, sigma=16),
    Warp(Affine(30, 0.1, 10, (0.8, 1.2)), Elastic(250, 14)),
    Flip(0.5, 0.5),
    CropResize((0.4, 1.0), 1.5),
]


def blobs(size=96):
    """Bright discs of known labels on black."""
    rows, columns = np.mgrid[:size, :size]
    labels = np.zeros((size, size), np.uint8)
    for number, (row, column, radius) in enumerate(((30, 40, 12), (62, 66, 15), (70, 25, 9)), 1):
        labels[(rows - row) ** 2 + (columns - column) ** 2 <= radius**2] = number
    return torch.from_numpy((labels > 0).astype(np.float32))[None], torch.from_numpy(labels)


def spot(row, column, size=96):
    """One soft spot in the image and the pixels around it in the labels."""
    rows, columns = torch.meshgrid(torch.arange(size), torch.arange(size), indexing="ij")
    square = (rows - row) ** 2 + (columns - column) ** 2
    return torch.exp(-square / 8.0)[None], (square <= 9).byte()


def centre(weights):
    rows, columns = torch.meshgrid(*[torch.arange(n) for n in weights.shape], indexing="ij")
    return torch.stack([(weights * part).sum() / weights.sum() for part in (columns, rows)])


@pytest.mark.parametrize("seed", range(8))
def test_a_point_lands_where_the_formula_says(seed):
    change = Affine(rotation=25, translation=0.1, shear=8, scale=(0.8, 1.25))
    image, labels = spot(40, 60)
    matrix = change.draw((96, 96), np.random.default_rng(seed))
    moved, mask = change(image, labels, np.random.default_rng(seed))
    point = np.array([60, 40]) - 47.5
    expected = matrix[:, :2] @ point + matrix[:, 2] + 47.5
    np.testing.assert_allclose(centre(moved[0]), expected, atol=0.1)
    np.testing.assert_allclose(centre((mask == 1).float()), expected, atol=0.3)


def test_the_matrix_by_hand():
    np.testing.assert_allclose(affine_matrix(90, (0, 0), 1) @ [1, 0], [0, 1], atol=1e-12)
    np.testing.assert_allclose(affine_matrix(0, (45, 0), 3) @ [0, 1], [-3, 3], atol=1e-12)
    np.testing.assert_allclose(affine_matrix(0, (0, 45), 1) @ [1, 0], [1, -1], atol=1e-12)
    assert np.linalg.det(affine_matrix(33, (10, 0), 1.5)) == pytest.approx(2.25)


@given(st.floats(-60, 60), st.floats(-20, 20), st.floats(-20, 20), st.floats(0.6, 1.6))
@settings(max_examples=20, deadline=None)
def test_affine_agrees_with_torchvision(rotation, across, down, scale):
    class Fixed(Affine):
        def draw(self, size, generator):
            return np.hstack([affine_matrix(rotation, (across, down), scale), [[3.0], [-2.0]]])

    image, labels = torch.rand(1, 48, 64), torch.zeros(48, 64, dtype=torch.uint8)
    moved, _ = Fixed()(image, labels, np.random.default_rng(0))
    settings = (rotation, [3, -2], scale, [across, down], InterpolationMode.BILINEAR)
    expected = functional.affine(image, *settings)
    inside = functional.affine(torch.ones_like(image), *settings)
    assert (moved - expected)[inside > 0.99999].abs().max() < 1e-3


@pytest.mark.parametrize("change", GEOMETRIC, ids=lambda change: type(change).__name__)
@given(seed=st.integers(0, 2**32))
@settings(max_examples=15, deadline=None)
def test_image_and_labels_stay_registered(change, seed):
    image, labels = blobs()
    moved, mask = change(image, labels, np.random.default_rng(seed))
    known = mask != 255
    assert set(mask.unique().tolist()) <= {0, 1, 2, 3, 255}
    # Linear interpolation and the nearest label differ on the contour alone, by under a pixel.
    wrong = ((moved[0] > 0.5) != (mask > 0)) & known
    around = functional.gaussian_blur((mask > 0).float()[None], [3, 3], [1.0, 1.0])[0]
    assert not (wrong & ((around == 0) | (around > 0.999))).any()
    for number in range(1, 4):
        part = (mask == number).float()
        if part.sum() > 60:
            near = functional.gaussian_blur(part[None], [9, 9], [2.0, 2.0])[0] > 1e-3
            shift = centre(moved[0] * near) - centre(part)
            # A blob that is cut by the border fades there by half a pixel.
            assert shift.abs().max() < 1


def test_a_displacement_takes_from_its_source():
    image = torch.arange(20.0).reshape(1, 4, 5) / 20
    labels = torch.arange(20, dtype=torch.uint8).reshape(4, 5)
    displacement = torch.zeros(4, 5, 2)
    displacement[..., 0] = 2  # two columns to the right
    moved, found = resample(image, labels, displacement)
    assert found.tolist()[0] == [2, 3, 4, 255, 255]
    torch.testing.assert_close(moved[0, :, :3], image[0, :, 2:])
    assert (moved[0, :, 3:] == 0).all()


def test_elastic_moves_by_its_stated_amplitude():
    change = Elastic(alpha=10, sigma=5)
    assert change.amplitude == pytest.approx(0.3257, abs=1e-4)
    field = torch.stack([change.draw((64, 256), np.random.default_rng(i)) for i in range(20)])
    assert field.std().item() == pytest.approx(0.3257, rel=0.05)
    half = torch.stack([change.draw((64, 128), np.random.default_rng(i)) for i in range(40)])
    assert half.std().item() == pytest.approx(0.3257 / 2, rel=0.05)


def test_identity_settings_change_nothing():
    image, labels = torch.rand(3, 40, 56), torch.randint(0, 3, (40, 56), dtype=torch.uint8)
    still = [
        Affine(),
        Elastic(alpha=0),
        Warp(),
        Warp(Affine(), Elastic(alpha=0)),
        Flip(0, 0),
        CropResize((1.0, 1.0), 1.0),
        CutOut(0),
        Compose(()),
        Sometimes(Elastic(100, 5), 0.0),
    ]
    for change in still:
        moved, mask = change(image, labels, np.random.default_rng(0))
        assert torch.equal(moved, image), change
        assert torch.equal(mask, labels), change


def test_flips_by_hand():
    image, labels = torch.rand(1, 4, 5), torch.arange(20, dtype=torch.uint8).reshape(4, 5)
    across = Flip(1, 0)(image, labels, np.random.default_rng(0))
    assert torch.equal(across[0], image.flip(-1))
    assert torch.equal(across[1], labels.flip(-1))
    down = Flip(0, 1)(image, labels, np.random.default_rng(0))
    assert torch.equal(down[1], labels.flip(-2))
    drawn = [Flip(0.25, 0)(image, labels, np.random.default_rng(i))[1] for i in range(200)]
    assert 25 < sum(not torch.equal(each, labels) for each in drawn) < 75


@pytest.mark.parametrize("seed", range(5))
def test_crops_show_their_rectangle(seed):
    change = CropResize((0.3, 0.6), 1.4)
    left, top, wide, high = change.draw(np.random.default_rng(seed))
    assert 0.3 <= wide * high <= 0.6
    assert 1 / 1.4 <= wide / high <= 1.4
    assert 0 <= left <= 1 - wide
    assert 0 <= top <= 1 - high
    # A ramp shows where every pixel came from: the middle of the crop becomes the middle.
    ramp = ((torch.arange(100) + 0.5) / 100).expand(1, 100, 100)
    labels = torch.zeros(100, 100, dtype=torch.uint8)
    columns, mask = change(ramp, labels, np.random.default_rng(seed))
    rows, _ = change(ramp.transpose(1, 2), labels, np.random.default_rng(seed))
    expected = left + wide * (torch.arange(100) + 0.5) / 100
    torch.testing.assert_close(columns[0, 50, 3:-3], expected[3:-3], atol=1e-4, rtol=0)
    assert rows[0, 2:-2].mean() == pytest.approx(top + high / 2, abs=1e-3)
    assert (mask == 0).all()


def test_cut_out_hides_and_says_so():
    image, labels = torch.rand(3, 64, 64), torch.ones(64, 64, dtype=torch.uint8)
    shares, seen = [], set()
    for seed in range(60):
        change = CutOut(2, (0.25, 0.25))
        moved, mask = change(image, labels, np.random.default_rng(seed))
        hidden = mask == 255
        assert torch.equal((moved != image).any(0), hidden)
        grey = image.mean((1, 2))[:, None].expand(3, int(hidden.sum()))
        torch.testing.assert_close(moved[:, hidden], grey)
        shares.append(hidden.sum().item())
        seen |= set(torch.nonzero(hidden)[:, 1].tolist())
    assert min(shares) == 0
    assert 256 in shares
    assert max(shares) <= 512
    assert {0, 63} <= seen  # they reach the borders
    assert (labels == 1).all()


@pytest.mark.parametrize("change", [SSL_ALPNET, MEDICAL, *GEOMETRIC])
def test_a_batch_is_changed_alike_or_each_by_itself(change):
    image, labels = blobs()
    images, masks = image.expand(2, 3, 1, 96, 96), labels.expand(2, 3, 96, 96)
    moved, found = change(images, masks, np.random.default_rng(4))
    assert moved.shape == images.shape
    assert found.shape == masks.shape
    assert torch.equal(found, found[:1, :1].expand(2, 3, 96, 96))
    _, single = change(image, labels, np.random.default_rng(4))
    if change is not MEDICAL:  # whose noise takes more numbers for more images
        assert torch.equal(found[0, 0], single)
    apart, kept = PerImage(change)(images, masks, np.random.default_rng(4))
    assert apart.shape == images.shape
    assert len({bytes(mask.numpy()) for mask in kept.flatten(0, 1)}) > 1


def test_only_the_generator_decides():
    image, labels = blobs()
    for change in (SSL_ALPNET, MEDICAL):
        one = change(image, labels, np.random.default_rng(5))
        torch.manual_seed(9)
        two = change(image, labels, np.random.default_rng(5))
        other = change(image, labels, np.random.default_rng(6))
        assert torch.equal(one[0], two[0])
        assert torch.equal(one[1], two[1])
        assert not torch.equal(one[0], other[0])
        assert torch.equal(image, blobs()[0])  # the input is left alone
        assert torch.equal(labels, blobs()[1])


def test_the_published_settings_stay_in_their_limits():
    warp, gamma = SSL_ALPNET.transforms
    assert gamma == Gamma((0.5, 1.5))
    drawn = np.stack([warp.affine.draw((256, 256), np.random.default_rng(i)) for i in range(500)])
    assert 4.8 < abs(drawn[:, :, 2]).max() <= 5  # pixels
    scales = np.sqrt(np.linalg.det(drawn[:, :, :2]))
    assert 0.89 < scales.min() < 0.91
    assert 1.19 < scales.max() < 1.21
    angles = np.degrees(np.arctan2(drawn[:, 1, 0], drawn[:, 0, 0]))
    assert 8 < abs(angles).max() <= 10  # rotation and shear together
    assert not any(isinstance(part, Flip) for part in SSL_ALPNET.transforms)


def test_sometimes_is_a_probability():
    image, labels = blobs()
    change = Sometimes(Flip(1, 0), 0.3)
    count = sum(
        not torch.equal(change(image, labels, np.random.default_rng(i))[1], labels)
        for i in range(300)
    )
    assert 60 < count < 120


@pytest.mark.parametrize(
    ("make", "word"),
    [
        (lambda: Affine(rotation=-1), "rotation is -1"),
        (lambda: Affine(shear=90), "shear is 90"),
        (lambda: Affine(scale=(1.2, 0.9)), "scale is"),
        (lambda: Affine(translation=math.nan), "translation is nan"),
        (lambda: Elastic(sigma=0), "sigma is 0"),
        (lambda: Elastic(alpha=-1), "alpha is -1"),
        (lambda: Flip(across=1.5), "across is 1.5"),
        (lambda: CropResize((0.5, 1.5)), "area is"),
        (lambda: CropResize(stretch=0.5), "stretch is 0.5"),
        (lambda: CutOut(-1), "count is -1"),
        (lambda: CutOut(1, (0.0, 0.1)), "side is"),
        (lambda: Sometimes(Flip(), 2.0), "probability is 2"),
    ],
)
def test_settings_that_make_no_sense(make, word):
    with pytest.raises(EpisodeError, match=word):
        make()
