import numpy as np
import pytest

from fewshot.baselines.feature_grid import through_grid


def slow(mask, stride):
    """Share of each cell's known pixels, then bilinear between the cells' centres."""
    rows, columns = (side // stride for side in mask.shape)
    share = np.zeros((rows, columns))
    for row in range(rows):
        for column in range(columns):
            cell = mask[row * stride : (row + 1) * stride, column * stride : (column + 1) * stride]
            known = (cell != 255).sum()
            share[row, column] = (cell == 1).sum() / known if known else 0.0

    def around(pixel, count):
        place = min(max((pixel + 0.5) / stride - 0.5, 0.0), count - 1.0)
        low = int(place)
        return low, min(low + 1, count - 1), place - low

    found = np.zeros(mask.shape, bool)
    for y in range(mask.shape[0]):
        for x in range(mask.shape[1]):
            top, bottom, down = around(y, rows)
            left, right, across = around(x, columns)
            upper = share[top, left] * (1 - across) + share[top, right] * across
            lower = share[bottom, left] * (1 - across) + share[bottom, right] * across
            found[y, x] = upper * (1 - down) + lower * down > 0.5
    return found


@pytest.mark.parametrize("stride", [2, 4, 8])
def test_it_is_the_slow_one(stride):
    generator = np.random.default_rng(stride)
    # Denser to the right, so that even the coarsest grid has marked and unmarked cells.
    mask = (generator.random((16, 16)) < np.linspace(0.1, 0.95, 16)).astype(np.uint8)
    mask[3:6, 2:9] = 255
    expected = slow(mask, stride)
    found = through_grid(mask, 16, stride)
    assert (found != expected).mean() < 0.02  # ties at one half may fall on either side
    assert 0 < expected.mean() < 1


def test_a_mask_on_the_grid_of_single_pixels_is_itself():
    mask = (np.random.default_rng(0).random((16, 16)) < 0.5).astype(np.uint8)
    np.testing.assert_array_equal(through_grid(mask, 16, 1), mask == 1)


def test_a_coarser_grid_loses_more():
    rows, columns = np.mgrid[:64, :64]
    disc = ((rows - 30) ** 2 + (columns - 33) ** 2 <= 100).astype(np.uint8)
    overlaps = []
    for stride in (1, 4, 8, 16):
        found = through_grid(disc, 64, stride)
        overlaps.append(2 * (found & (disc == 1)).sum() / (found.sum() + disc.sum()))
    assert overlaps == sorted(overlaps, reverse=True)
    assert overlaps[0] == 1
    assert overlaps[-1] < 0.9


@pytest.mark.parametrize(("value", "share"), [(0, 0.0), (1, 1.0), (255, 0.0)])
def test_masks_of_one_value(value, share):
    assert through_grid(np.full((24, 40), value, np.uint8), 32, 8).mean() == pytest.approx(
        share, abs=0.05
    )


def test_an_image_of_another_size_is_given_back_at_its_own():
    mask = np.zeros((50, 80), np.uint8)
    mask[10:40, 20:60] = 1
    found = through_grid(mask, 32, 2)
    assert found.shape == (50, 80)
    assert 2 * (found & (mask == 1)).sum() / (found.sum() + mask.sum()) > 0.95
