import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from episodes.catalog.letterbox import Letterbox, intensity_range, to_tensor
from episodes.errors import DataError

# No image that is one pixel wide: torch 2.15 scales (n, 1) to (m, 1) to zeros with antialiasing.
SIZES = [(40, 40), (100, 60), (33, 97), (64, 64), (240, 320), (350, 45), (1, 50), (50, 9)]


@pytest.mark.parametrize(
    ("height", "width", "size", "inner", "padding"),
    [
        (100, 50, 64, (64, 32), (16, 16, 0, 0)),
        (50, 100, 64, (32, 64), (0, 0, 16, 16)),
        (30, 30, 33, (33, 33), (0, 0, 0, 0)),
        (3, 2, 32, (32, 21), (5, 6, 0, 0)),
        (1000, 1, 64, (64, 1), (31, 32, 0, 0)),
    ],
)
def test_inner_and_padding_by_hand(height, width, size, inner, padding):
    frame = Letterbox(height, width, size)
    assert frame.inner == inner
    assert frame.padding == padding


@given(st.integers(1, 900), st.integers(1, 900), st.integers(32, 512))
@settings(deadline=None)
def test_inner_and_padding_fill_the_square(height, width, size):
    frame = Letterbox(height, width, size)
    left, right, top, bottom = frame.padding
    high, wide = frame.inner
    assert (top + high + bottom, left + wide + right) == (size, size)
    assert min(frame.padding) >= 0
    assert max(frame.inner) == size
    assert abs(left - right) <= 1
    assert abs(top - bottom) <= 1


@pytest.mark.parametrize(("height", "width"), SIZES)
@pytest.mark.parametrize("size", [64, 256])
def test_undo_brings_a_smooth_image_back(height, width, size):
    rows = torch.linspace(0, 1, height)[:, None]
    columns = torch.linspace(0, 1, width)[None]
    image = torch.stack([0.3 + 0.4 * rows + 0 * columns, 0.3 + 0 * rows + 0.4 * columns])
    frame = Letterbox(height, width, size)
    square = frame.fit_image(image)
    assert square.shape == (2, size, size)
    left, _, top, _ = frame.padding
    assert (square == 0).sum() == 2 * (size * size - frame.inner[0] * frame.inner[1])
    assert square[0, top, left] >= 0.29
    back = frame.restore(square)
    assert back.shape == image.shape
    scale = max(height, width) / size
    inside = (slice(None), *(slice(b := min(8, n // 4), n - b) for n in (height, width)))
    torch.testing.assert_close(back[inside], image[inside], atol=0.02 * max(scale, 1), rtol=0)


def test_undo_takes_maps_of_any_resolution():
    frame = Letterbox(60, 120, 64)
    coarse = torch.zeros(1, 8, 8)
    coarse[..., 4:] = 1  # the right half
    back = frame.restore(coarse)
    assert back.shape == (1, 60, 120)
    assert (back[..., :50] < 0.01).all()
    assert (back[..., 70:] > 0.99).all()


@pytest.mark.parametrize(("height", "width"), SIZES)
def test_a_disc_comes_back_in_its_place(height, width):
    rows, columns = np.mgrid[:height, :width]
    disc = (rows - height / 3) ** 2 + (columns - width / 2) ** 2 < (min(height, width) / 4) ** 2
    frame = Letterbox(height, width, 256)
    labels = frame.fit_labels(torch.from_numpy(disc.astype(np.uint8)))
    back = frame.restore((labels == 1).float()[None])[0].numpy() > 0.5
    edge = max(1.0, 3 * max(height, width) / 256) * 2 * np.pi * min(height, width) / 4
    assert (back != disc).sum() <= edge


@given(
    st.integers(1, 80),
    st.integers(1, 80),
    st.sampled_from([32, 64]),
    st.lists(st.sampled_from([0, 1, 2, 7, 254]), min_size=1, max_size=4),
)
@settings(deadline=None, max_examples=50)
def test_labels_never_gain_values(height, width, size, values):
    labels = torch.from_numpy(
        np.random.default_rng(0).choice(np.array(values, np.uint8), (height, width))
    )
    frame = Letterbox(height, width, size)
    square = frame.fit_labels(labels)
    left, right, top, bottom = frame.padding
    inner = square[top : size - bottom, left : size - right]
    assert set(inner.unique().tolist()) <= set(values)
    assert (square == 255).sum() == size * size - inner.numel()


def test_labels_of_twice_the_size_take_the_nearest():
    labels = torch.arange(32 * 32, dtype=torch.int64).remainder(200).to(torch.uint8).view(32, 32)
    doubled = Letterbox(32, 32, 64).fit_labels(labels)
    assert torch.equal(doubled, labels.repeat_interleave(2, 0).repeat_interleave(2, 1))


def test_the_own_size_is_left_alone():
    frame = Letterbox(48, 48, 48)
    image = torch.rand(3, 48, 48, generator=torch.Generator().manual_seed(0))
    assert torch.equal(frame.fit_image(image), image)
    assert torch.equal(frame.restore(image), image)


def test_range_is_the_percentiles():
    pixels = np.arange(1001, dtype=np.uint16).reshape(77, 13)
    assert intensity_range(pixels) == pytest.approx((5, 995))
    assert intensity_range(-pixels.astype(np.float32)) == pytest.approx((-995, -5))


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int16, np.int32, np.float32, np.float64])
def test_every_number_type_becomes_0_to_1(dtype):
    pixels = np.linspace(0, 100, 2000).reshape(40, 50).astype(dtype)
    tensor = to_tensor(pixels)
    assert tensor.dtype == torch.float32
    assert tensor.shape == (1, 40, 50)
    assert (tensor.min(), tensor.max()) == (0, 1)
    assert tensor[0, 20, 0] == pytest.approx(0.5, abs=0.02)


def test_few_bright_spots_keep_the_full_range():
    pixels = np.zeros((100, 100), np.uint8)
    pixels[3, 4] = 200
    assert intensity_range(pixels) == (0, 200)
    assert to_tensor(pixels)[0, 3, 4] == 1


@pytest.mark.parametrize("value", [0, 7, 255])
def test_an_even_image_is_black(value):
    pixels = np.full((32, 32), value, np.uint8)
    assert intensity_range(pixels) == (value, value)
    assert (to_tensor(pixels) == 0).all()


@pytest.mark.parametrize("shape", [(1000, 1000, 3), (1500, 2000), (4, 1000, 1000)])
def test_the_range_of_a_large_image_sees_every_channel_and_column(shape):
    pixels = np.broadcast_to(np.linspace(0, 1000, shape[-1]), shape).astype(np.float32)
    low, high = np.percentile(pixels, (0.5, 99.5))
    assert intensity_range(pixels) == pytest.approx((low, high), abs=2)


def test_limits_of_a_volume_are_kept():
    tensor = to_tensor(np.array([[0, 5, 10, 20]]), (5.0, 10.0))
    assert tensor.tolist() == [[[0, 0, 1, 1]]]
    colour = to_tensor(np.array([[[0, 5, 10]]]), (0.0, 10.0))
    assert colour.tolist() == [[[0]], [[0.5]], [[1]]]


@pytest.mark.parametrize("shape", [(5,), (4, 5, 2), (4, 5, 4), (2, 3, 4, 5), (0, 5), (4, 0, 3)])
def test_what_is_no_image(shape):
    with pytest.raises(DataError, match=r"an image has shape \(.*; expected"):
        to_tensor(np.zeros(shape, np.uint8))
