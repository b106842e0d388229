"""Every candidate keeps one contract: fit on shots, log odds for a view."""

import numpy as np
import pytest
import torch

from fewshot.inference.inputs import ImageStack
from fewshot.inference.self_configuration.candidates import CANDIDATES
from fewshot.inference.self_configuration.candidates.base import SURE, log_odds_of, values_at
from fewshot.inference.self_configuration.evidence import dice, labels_of
from fewshot.inference.self_configuration.views import (
    FeatureMap,
    Shot,
    View,
    on_grid,
    rectangle,
)
from fewshot.models.encoder import OFFLINE
from fewshot.models.levels import XFEAT
from tests.fewshot.conftest import disc_scene


def shot_of(seed: int, values: tuple[int, ...] = (0, 1, 2)) -> Shot:
    image, labels = disc_scene(seed)
    table = np.array(values, np.uint8)
    return Shot(View(ImageStack(image[None], f"scene {seed}")), torch.from_numpy(table[labels]))


@pytest.fixture(scope="module")
def shots() -> list[Shot]:
    return [shot_of(seed) for seed in range(2)]


@pytest.mark.parametrize("name", [name for name in CANDIDATES if name != "place"])
def test_it_finds_two_classes_in_another_image(name, shots):
    fitted = CANDIDATES[name].fit(shots[:1], 2)
    odds = fitted.log_odds(shots[1].view)
    assert odds.shape[0] == 2
    assert torch.isfinite(odds).all()
    assert dice(fitted, shots[1], 2) > 0.7


@pytest.mark.parametrize("name", CANDIDATES)
def test_unknown_pixels_teach_nothing(name, shots):
    """What lies under them may be anything."""
    image, labels = disc_scene(0)
    labels[:, 48:] = 255
    views = []
    for changed in (labels, np.where(labels == 255, 255, labels).astype(np.uint8)):
        shot = Shot(View(ImageStack(image[None], "scene")), torch.from_numpy(changed))
        views.append(CANDIDATES[name].fit([shot], 2).log_odds(shots[1].view))
    assert torch.equal(*views)
    assert CANDIDATES[name].fit([shot], 2).log_odds(shots[1].view).isfinite().all()


@pytest.mark.parametrize("name", CANDIDATES)
@pytest.mark.parametrize("values", [(1, 1, 1), (0, 1, 0)])
def test_a_fully_marked_image_and_a_single_class(name, values, shots):
    fitted = CANDIDATES[name].fit([shot_of(0, values)], 1)
    odds = fitted.log_odds(shots[1].view)
    assert odds.isfinite().all()
    if values == (1, 1, 1):
        assert (odds > 0).all()


@pytest.mark.parametrize("name", CANDIDATES)
def test_one_pixel_of_a_class(name, shots):
    image, labels = disc_scene(0)
    mask = np.zeros_like(labels)
    mask[40, 40] = 1
    shot = Shot(View(ImageStack(image[None], "scene")), torch.from_numpy(mask))
    assert CANDIDATES[name].fit([shot], 1).log_odds(shots[1].view).isfinite().all()
    assert (shot.labels_at((32, 32)) == 1).sum() == 1  # it is lost on no grid


def test_as_many_positions_are_kept_of_several_images(shots):
    fitted = CANDIDATES["neighbours-512"].fit(shots, 2)
    one = CANDIDATES["neighbours-512"].fit(shots[:1], 2)
    kept = [each.support.tensors["positions_0"].shape[1] for each in (one, fitted)]
    assert 2048 < kept[1] <= 8192
    assert kept[0] == 2048


def test_grey_in_three_channels_is_grey():
    image, _ = disc_scene(0)
    grey, colours = (View(ImageStack(each[None], "x")) for each in (image, np.dstack([image] * 3)))
    assert torch.equal(grey.image, colours.image)


def test_place_is_the_share_of_annotated_images():
    masks = np.zeros((2, 128, 128), np.uint8)
    masks[0, :64], masks[1, :, :64] = 1, 1
    masks[1, 127, 127] = 255
    shots = [
        Shot(View(ImageStack(np.zeros((1, 128, 128), np.uint8), "x")), torch.from_numpy(mask))
        for mask in masks
    ]
    chance = CANDIDATES["place"].fit(shots, 1).log_odds(shots[0].view)[0].sigmoid()
    assert chance[0, 0].item() == pytest.approx(0.98)
    assert chance[0, 100].item() == pytest.approx(0.5)
    assert chance[100, 100].item() == pytest.approx(0.02)


def test_log_odds_and_labels_by_hand():
    logits = torch.tensor([[1.0, 4.0], [3.0, 0.0], [2.5, 1.0]])[..., None]
    odds = log_odds_of(logits)
    torch.testing.assert_close(odds[..., 0], torch.tensor([[0.5, -4.0], [-0.5, -3.0]]))
    assert labels_of(odds).tolist() == [[1], [0]]


def test_views_are_rectangles_whose_levels_are_centred():
    image = np.random.default_rng(0).integers(0, 255, (1, 60, 130), np.uint8)
    view = View(ImageStack(image, "x"))
    assert rectangle((60, 130), 256) == (128, 256)
    assert view.resized(256).shape == (1, 128, 256)
    for encoder in (OFFLINE, XFEAT):
        level = view.features(FeatureMap(encoder, 8, 256))
        assert level.shape[1:] == (16, 32)
        torch.testing.assert_close(level.norm(dim=0), torch.ones(16, 32))
        assert level.mean(dim=(1, 2)).abs().max() < 0.1
    assert view.side == 130


@pytest.mark.parametrize("name", CANDIDATES)
def test_colour_and_grey_images_go_together(name):
    grey, (image, labels) = shot_of(0), disc_scene(1)
    coloured = ImageStack(np.stack([image, image // 2, 255 - image], axis=2)[None], "colour")
    colour = Shot(View(coloured), torch.from_numpy(labels))
    for learned, query in (([grey], colour), ([colour], grey), ([grey, colour], colour)):
        assert CANDIDATES[name].fit(learned, 2).log_odds(query.view).isfinite().all()


@pytest.mark.parametrize("name", ["deep-logistic", "perceptron"])
def test_weighing_maps_on_their_own_grids_is_weighing_them_on_the_finest(name, shots):
    """The first layer is linear, and so is interpolation."""
    candidate, view = CANDIDATES[name], shots[1].view
    fitted = candidate.fit(shots[:1], 2)
    pixels = [view.pixels(1)] if name == "perceptron" else []
    grid = pixels[0].shape[1:] if pixels else view.features(candidate.maps[0]).shape[1:]
    middle = view.features(candidate.maps[0]).shape[1:]
    maps = [on_grid(on_grid(view.features(each), middle), grid) for each in candidate.maps]
    points = torch.cat([*maps, *pixels]).flatten(1)
    if name == "perceptron":
        for number, (weight, bias) in enumerate(fitted.layers):
            points = weight @ (points.relu() if number else points) + bias[:, None]
    else:
        points = fitted.weight @ points + fitted.constant[:, None]
    expected = points.softmax(0)[1:].clamp(SURE, 1 - SURE).logit().reshape(2, *grid)
    torch.testing.assert_close(fitted.log_odds(view), expected, atol=1e-3, rtol=1e-3)


def test_training_a_perceptron_moves_no_random_number_of_others(shots):
    torch.manual_seed(3)
    before = torch.random.get_rng_state()
    one, two = (CANDIDATES["perceptron"].fit(shots[:1], 2) for _ in range(2))
    assert torch.equal(torch.random.get_rng_state(), before)
    assert torch.equal(one.layers[1][0], two.layers[1][0])
    assert not one.layers[0][0].requires_grad


def test_values_at_positions_are_those_of_the_whole_grid():
    coarse = torch.randn(3, 4, 5, generator=torch.Generator().manual_seed(0))
    grid, points = (16, 20), np.array([0, 19, 37, 150, 319])
    whole = on_grid(coarse, grid).flatten(1)[:, points]
    torch.testing.assert_close(values_at(coarse, grid, points), whole)
