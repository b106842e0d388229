"""Volumes laid over each other, and segmented by what lies close: against slow loops."""

import math

import numpy as np
import pytest
import torch
from torch.nn import functional

from episodes.errors import DataError
from fewshot.inference.volumes.local_matching import (
    LocalMatchingSettings,
    _differences,
    annotated_extent,
    interpolate_annotation,
    local_matching_logits,
)
from fewshot.inference.volumes.registration import (
    RegistrationSettings,
    displacements,
    fit_line,
    match_costs,
    register,
    warp,
)

SMALL = RegistrationSettings(grid=8, slices=2, cells=1)


def volume(depth=10, channels=24, side=8, seed=0):
    """Features that differ from place to place, and are alike where places are near."""
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn(channels, depth + 2, side + 2, side + 2, generator=generator)
    return functional.avg_pool3d(noise, 3, stride=1).transpose(0, 1).contiguous()


def still(depth, side, first=0.0):
    """Places of a volume that is not displaced."""
    return torch.stack(
        torch.meshgrid(torch.arange(depth) + first, *[torch.arange(side * 1.0)] * 2, indexing="ij"),
        dim=1,
    )


def test_costs_equal_a_slow_loop():
    query, support = (functional.normalize(volume(d, 5, 3, s), dim=1) for d, s in ((3, 0), (4, 1)))
    nearest = np.array([-1, 1, 3])
    settings = RegistrationSettings(slices=1, cells=1)
    costs = match_costs(query, support, nearest, settings)
    assert costs.shape == (27, 3, 3, 3)
    number = 0
    for slices in (-1, 0, 1):
        for down in (-1, 0, 1):
            for right in (-1, 0, 1):
                for z, y, x in np.ndindex(3, 3, 3):
                    place = nearest[z] + slices, y + down, x + right
                    there = all(0 <= p < n for p, n in zip(place, (4, 3, 3), strict=True))
                    expected = 1.0
                    if there:
                        a, b, c = place
                        expected = 1 - float(query[z, :, y, x] @ support[a, :, b, c])
                    assert float(costs[number, z, y, x]) == pytest.approx(expected, abs=1e-6)
                number += 1


def test_a_part_of_a_volume_is_found_in_it():
    whole = volume()
    found = register(whole[3:8], whole, SMALL)
    assert found.shape == (5, 3, 8, 8)
    torch.testing.assert_close(found, still(5, 8, 3.0), atol=0.25, rtol=0)


def test_a_displacement_within_slices_is_found():
    whole = volume(side=10)
    query, support = whole[..., 1:9, 0:8], whole[..., 0:8, 1:9]
    found = displacements(
        *(functional.normalize(each, dim=1) for each in (query, support)),
        np.arange(10.0),
        SMALL,
    )
    inner = found[:, 2:-2, 3:-3, 3:-3]
    expected = torch.tensor([0.0, 1.0, -1.0])[:, None, None, None].expand_as(inner)
    torch.testing.assert_close(inner, expected, atol=0.2, rtol=0)


def test_a_line_between_slices_is_kept():
    """With features that say nothing, nothing leaves the line."""
    flat = torch.ones(4, 3, 4, 4)
    found = displacements(flat, flat, np.array([0.4, 1.4, 2.4, 3.4]), SMALL)
    assert found.abs().max() < 0.5


def test_stiffness_keeps_single_positions_in_line():
    whole = functional.normalize(volume(side=6), dim=1)
    loose, stiff = (
        displacements(
            whole,
            functional.normalize(volume(side=6, seed=1), dim=1),
            np.arange(10.0),
            RegistrationSettings(slices=2, cells=1, stiffness=stiffness),
        )
        for stiffness in ((0.0,), (10.0,))
    )
    assert float(stiff.abs().max()) < float(loose.abs().max())


def test_grids_of_any_size_and_single_slices():
    found = register(volume(1, 4, 5), volume(3, 4, 9), SMALL)
    assert found.shape == (1, 3, 5, 5)
    assert torch.isfinite(found).all()
    # The middle of a grid of 5 lies on the middle of one of 9.
    flat = torch.ones(2, 3, 5, 5), torch.ones(2, 3, 9, 9)
    middle = register(*flat, RegistrationSettings(slices=0, cells=0, lines=0))[:, 1:, 2, 2]
    torch.testing.assert_close(middle, torch.full((2, 2), 4.0))
    with pytest.raises(DataError, match="volumes of 0 and 3 slices"):
        register(volume(1)[:0], volume(3))


def test_a_line_through_one_slice_is_its_place():
    assert fit_line(np.array([2.5])).tolist() == [2.5]


def test_carrying_takes_what_lies_there():
    values = torch.rand(4, 5, 6, generator=torch.Generator().manual_seed(0))
    correspondences = torch.stack(
        torch.meshgrid(*(torch.arange(float(n)) for n in values.shape), indexing="ij"), dim=1
    )
    torch.testing.assert_close(warp(values, correspondences), values)
    between = correspondences + torch.tensor([0.5, 0.0, 0.0])[:, None, None]
    torch.testing.assert_close(warp(values, between)[:-1], (values[1:] + values[:-1]) / 2)
    assert (warp(values, correspondences + 20) == 0).all()


def slow_scores(query, support, coverage, correspondences, settings, slice_indices):
    depth, _, rows, columns = query.shape
    scores = torch.zeros(depth, rows, columns)
    for z, y, x in np.ndindex(depth, rows, columns):
        groups = {False: [], True: []}
        for number, height in enumerate(slice_indices):
            for a, b in np.ndindex(*coverage.shape[1:]):
                share = float(coverage[number, a, b])
                if 1 - settings.purity <= share <= settings.purity:
                    continue
                away = (torch.tensor([height, a, b]) - correspondences[z, :, y, x]).square().sum()
                cosine = functional.cosine_similarity(
                    query[z, :, y, x], support[number, :, a, b], dim=0
                )
                groups[share > 0.5].append(settings.scale * (cosine - settings.proximity * away))
        found = [torch.stack(groups[label]) for label in (False, True)]
        background, inside = [float((each.softmax(0) * each).sum()) for each in found]
        scores[z, y, x] = inside - background
    return scores


def test_scores_equal_a_slow_loop():
    query, support = volume(2, 6, 4, 0), volume(3, 6, 4, 1)
    coverage = torch.zeros(3, 4, 4)
    coverage[1, 1:3, 1:3] = 1
    coverage[1, 0, 0] = 0.5
    correspondences = still(2, 4) + 0.3
    settings = LocalMatchingSettings(slices=5.0)
    everywhere = torch.ones(2, 4, 4, dtype=torch.bool)
    for slice_indices in ([0, 1, 2], [0, 3, 4]):
        found = local_matching_logits(
            query, support, coverage, correspondences, everywhere, settings, slice_indices
        )
        expected = slow_scores(query, support, coverage, correspondences, settings, slice_indices)
        torch.testing.assert_close(found, expected, atol=1e-3, rtol=1e-3)


def test_nothing_is_found_where_nothing_is_sought_or_near():
    query = volume(9, 6, 4)
    coverage = torch.zeros(9, 4, 4)
    coverage[0, 1:3, 1:3] = 1
    nowhere = torch.zeros(9, 4, 4, dtype=torch.bool)
    settings = LocalMatchingSettings(margin=(1, 1))
    empty = local_matching_logits(query, query, coverage, still(9, 4), nowhere, settings)
    assert (empty == -20).all()
    search_region = nowhere.clone()
    search_region[4, 2, 2] = True
    found = local_matching_logits(query, query, coverage, still(9, 4), search_region, settings)
    # Slice 4 is sought, but the class is four slices away, of which two speak.
    assert (found == -20).all()
    whole = local_matching_logits(
        query, query, torch.ones(9, 4, 4), still(9, 4), search_region, settings
    )
    assert (whole[3:6, 1:, 1:] == 20).all()
    assert (whole[0] == -20).all()


def test_the_rest_of_a_volume_is_completed():
    side, depth = 8, 9
    organ = torch.zeros(depth, side, side)
    organ[1:8, 2:6, 2:6] = 1
    features = torch.stack([organ, 1 - organ], dim=1) + 0.01 * volume(depth, 2, side)
    slice_indices = [2, 4, 6]
    found = interpolate_annotation(features, organ[slice_indices], slice_indices)
    assert ((found > 0.5) == (organ > 0.5)).all()
    assert (found[[0, 8]] == 0).all()
    torch.testing.assert_close(found[slice_indices], organ[slice_indices])
    assert (interpolate_annotation(features, organ[slice_indices] * 0, slice_indices) == 0).all()


@pytest.mark.parametrize(
    ("slice_indices", "expected"),
    [([], (math.inf, -math.inf)), ([3], (-math.inf, math.inf)), ([3, 7, 9], (1.0, 10.0))],
)
def test_how_far_a_class_reaches(slice_indices, expected):
    assert annotated_extent(slice_indices) == expected


def test_where_nothing_is_near_there_is_background():
    asking, known = torch.randn(4, 3), torch.randn(1, 4, 2)
    found = _differences(asking, known, torch.zeros(1, 2, 2), 20.0)
    assert found.tolist() == [-20.0] * 3
