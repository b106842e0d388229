"""Outlines at a share of each object's own contrast."""

import numpy as np
import pytest

from fewshot.inference.instances.outlines import refine_outlines


def squares(inner, outer=0.0):
    """True objects and too large ones, touching neither each other nor the border."""
    truth, found = np.zeros((2, 30, 60), np.int32)
    image = np.full((30, 60), float(outer))
    for number, value in enumerate(inner, 1):
        left = 10 + 25 * (number - 1)
        truth[10:20, left : left + 10] = number
        found[8:22, left - 2 : left + 12] = number
        image[truth == number] = value
    return truth, found, image


@pytest.mark.parametrize(("inner", "outer"), [((200, 20), 0), ((60, 150), 250), ((1e-3, 1e3), 0)])
def test_dim_and_bright_objects_have_each_their_own_threshold(inner, outer):
    truth, found, image = squares(inner, outer)
    refined = refine_outlines(found, image, 0.5)
    assert (refined != truth).sum() <= 8  # the corners, that smoothing rounds
    assert set(np.unique(refined)) == {0, 1, 2}


def test_a_smaller_share_of_the_contrast_gives_larger_objects_and_outlines_grow_back():
    truth, _, image = squares((100, 50))
    small = np.where((np.roll(truth, 2, 1) == truth) & (np.roll(truth, -2, 1) == truth), truth, 0)
    areas = [(refine_outlines(small, image, share) > 0).sum() for share in (0.2, 0.5, 0.8)]
    assert areas == sorted(areas, reverse=True)
    assert areas[1] == pytest.approx((truth > 0).sum(), abs=8)


def test_colours_that_differ_without_brightness_have_an_outline():
    truth, found, image = squares((90, 90))
    colours = np.stack([image, 90 - image, np.full_like(image, 40)], axis=-1)
    assert (refine_outlines(found, colours, 0.5) != truth).sum() <= 8


def test_without_contrast_or_surroundings_the_outline_stays():
    _, found, image = squares((0, 0))
    np.testing.assert_array_equal(refine_outlines(found, image, 0.5), found)
    full = np.ones((6, 6), np.int32)
    np.testing.assert_array_equal(refine_outlines(full, np.eye(6), 0.5), full)
    assert not refine_outlines(np.zeros((4, 4), np.int32), np.eye(4), 0.5).any()
