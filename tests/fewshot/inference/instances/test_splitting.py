"""From masks and probabilities to objects."""

import numpy as np
import pytest

from fewshot.inference.instances.rims import rim_map
from fewshot.inference.instances.sizes import measure_objects
from fewshot.inference.instances.splitting import (
    Splitting,
    objects_of,
    split_mask,
    without_crumbs,
)


def disc(row, column, radius, size=(40, 60)):
    rows, columns = np.mgrid[: size[0], : size[1]]
    return (rows - row) ** 2 + (columns - column) ** 2 <= radius**2


def test_touching_discs_are_split_where_they_meet():
    left, right = disc(20, 18, 10), disc(20, 36, 10)
    found = split_mask(left | right, 0.1)
    assert found.max() == 2
    assert (
        len(np.unique(found[left & ~right])) == 1
        or ((found == found[20, 18]) & left).sum() > 0.97 * left.sum()
    )
    assert found[20, 18] != found[20, 36]
    assert split_mask(left | right, None).max() == 1


@pytest.mark.parametrize("scale", [1, 3])
def test_a_neck_does_not_depend_on_the_size(scale):
    size = (40 * scale, 60 * scale)
    two = disc(20 * scale, 18 * scale, 8 * scale, size) | disc(
        20 * scale, 31 * scale, 8 * scale, size
    )
    assert split_mask(two, 0.1).max() == 2  # the neck is 0.58 of the radius
    assert split_mask(two, 0.6).max() == 1


def test_pieces_of_several_parts_are_numbered_apart():
    left, right = disc(20, 12, 8), disc(20, 25, 8)
    found = split_mask(left | right | disc(20, 50, 6), 0.1)
    assert len({found[20, 10], found[20, 28], found[20, 50]}) == found.max() == 3
    assert ((found > 0) == (left | right | disc(20, 50, 6))).all()


def test_an_elongated_object_and_one_that_the_edge_cuts_stay_whole():
    bar = np.zeros((30, 60), bool)
    bar[10:17, 0:55] = True
    assert split_mask(bar, 0.1).max() == 1
    assert split_mask(disc(0, 30, 9), 0.1).max() == 1


def test_crumbs_go_holes_are_filled_and_numbers_have_no_gaps():
    labels = np.zeros((12, 12), np.int32)
    labels[0, 0] = 1
    labels[3:9, 3:9] = 2
    labels[5, 5] = 0
    labels[11, 8:12] = 3
    found = without_crumbs(labels, 4)
    assert [int((found == n).sum()) for n in range(1, found.max() + 1)] == [36, 4]
    assert not without_crumbs(labels, 100).any()


def test_objects_grow_from_their_insides():
    foreground = np.zeros((9, 21))
    foreground[2:7, 2:19] = 1  # one bar without any neck
    inside = np.zeros_like(foreground)
    inside[3:6, 3:9] = inside[3:6, 12:18] = 1
    inside[3:6, 9:12] = 0.2
    found = objects_of(foreground, inside, Splitting("border", core=0.5))
    assert found.max() == 2
    assert ((found > 0) == (foreground > 0)).all()
    assert (found == found[4, 4]).sum() == pytest.approx((found > 0).sum() / 2, abs=5)


def test_rims_lie_around_objects_and_between_neighbours():
    numbers = np.zeros((1, 12, 20), np.int32)
    numbers[0, 2:9, 2:9] = 1
    numbers[0, 2:9, 10:17] = 2
    border = rim_map(numbers, "border", 3.5)[0]
    assert border[5].tolist() == [0, 0, 2, 1, 1, 1, 1, 1, 2, 2, 2, 1, 1, 1, 1, 1, 2, 0, 0, 0]
    seeds = rim_map(numbers, "seeds", 3.5)[0]
    assert seeds[5].tolist() == [0, 0, 2, 1, 1, 1, 1, 1, 2, 0, 2, 1, 1, 1, 1, 1, 2, 0, 0, 0]


def test_objects_that_the_edge_cuts_are_not_measured():
    numbers = np.zeros((20, 20), np.int32)
    numbers[0:2, 0:2] = 4
    numbers[5:12, 5:12] = 9
    sizes = measure_objects([numbers])
    assert (sizes.count, sizes.median, sizes.radius) == (2, 49, 4)
