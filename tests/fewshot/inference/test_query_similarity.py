from dataclasses import replace

import nibabel as nib
import numpy as np
import pytest
import torch

from episodes import bundled
from episodes.io.read import read_labels, read_planes
from fewshot.inference.query_similarity import (
    MIN_SIMILARITY,
    cycle_consistency,
    feature_similarity,
    grid_masks,
    query_support_similarity,
)
from fewshot.metrics.ranking import roc_auc
from fewshot.models.checkpoint import load_support, save_support
from fewshot.models.heads import ALPNetHead, ALPNetSettings, PANetHead, PANetSettings
from fewshot.models.network import reference_shots
from tests.fewshot.conftest import disc_scene

HEADS = [PANetHead(PANetSettings()), ALPNetHead(ALPNetSettings(window=1))]


def two_halves() -> tuple[torch.Tensor, torch.Tensor]:
    """Features [2 8 8] of two kinds, left and right, and a mask [1 1 8 8] of the left."""
    features = torch.zeros(2, 8, 8)
    features[0, :, :4], features[1, :, 4:] = 1, 1
    mask = torch.zeros(1, 1, 8, 8, dtype=torch.uint8)
    mask[..., :4] = 1
    return features, mask


def test_likeness_is_what_a_slow_loop_computes():
    generator = torch.Generator().manual_seed(0)
    support = torch.randn(1, 3, 6, 7, generator=generator)
    query = torch.randn(3, 5, 4, generator=generator)

    def unit(features, row, column):
        vector = features[:, row, column].numpy()
        return vector / np.linalg.norm(vector)

    places = list(np.ndindex(6, 7))
    usual = [
        max(
            unit(support[0], *one) @ unit(support[0], *two)
            for two in places
            if max(abs(one[0] - two[0]), abs(one[1] - two[1])) >= 4
        )
        for one in places
        if any(max(abs(one[0] - two[0]), abs(one[1] - two[1])) >= 4 for two in places)
    ]
    threshold = np.quantile(usual, 0.1)
    best = [
        max(unit(query, *one) @ unit(support[0], *two) for two in places)
        for one in np.ndindex(5, 4)
    ]
    expected = min(1, np.mean(np.array(best) >= threshold) / 0.9)
    assert feature_similarity(query, support) == pytest.approx(expected, abs=1e-5)


def test_likeness_of_the_same_and_of_something_else():
    features, _ = two_halves()
    assert feature_similarity(features, features[None]) == 1
    assert feature_similarity(features, torch.stack([features, features])) == 1
    wide = torch.cat([features, torch.zeros_like(features)])
    other = torch.cat([torch.zeros_like(features), features])
    assert feature_similarity(other, wide[None]) == 0
    large = features.repeat_interleave(10, dim=1).repeat_interleave(10, dim=2)
    assert feature_similarity(large, large[None]) == 1  # 80 x 80 positions are thinned first
    tiny = features[:, :2, :2]  # no two positions are apart: anything may be usual
    assert 0 <= feature_similarity(tiny, tiny[None]) <= 1


@pytest.mark.parametrize("head", HEADS)
def test_the_way_back_finds_the_mask_of_a_right_answer(head):
    features, mask = two_halves()
    right = mask[0, 0].long()
    assert cycle_consistency(head, features[None], mask, features, right) == 1
    wrong = 1 - right
    assert cycle_consistency(head, features[None], mask, features, wrong) == 0
    nothing = torch.zeros_like(right)
    assert cycle_consistency(head, features[None], mask, features, nothing) is None
    unknown = mask.clone()
    unknown[..., 4:] = 255  # what is unknown cannot be wrong
    assert cycle_consistency(head, features[None], unknown, features, right) == 1


def test_agreement_is_the_geometric_mean_or_likeness_alone():
    features, mask = two_halves()
    shots = {"features": features[None].half(), "masks": mask}
    right = mask[0, 0].long()
    assert query_support_similarity(HEADS[0], shots, features, right) == 1
    assert query_support_similarity(HEADS[0], shots, features, 1 - right) == 0
    assert query_support_similarity(HEADS[0], shots, features, torch.zeros_like(right)) == 1


def test_masks_on_the_grid_keep_thin_structures_and_unknown_positions():
    mask = torch.zeros(2, 1, 8, 8, dtype=torch.uint8)
    mask[0, 0, :4, :4] = 1
    mask[0, 0, 4:, 4:] = 255
    mask[1, 0, 0, :2] = 1  # an eighth of its position
    found = grid_masks(mask, 2, 2)
    assert found[0, 0].tolist() == [[1, 0], [0, 255]]
    assert found[1, 0].tolist() == [[1, 0], [0, 0]]
    assert (grid_masks(torch.zeros_like(mask), 2, 2) == 0).all()


def test_few_shots_are_kept():
    assert reference_shots(1) == [0]
    assert reference_shots(4) == [0, 1, 2, 3]
    assert len(reference_shots(512)) == 4


def test_agreement_tells_nuclei_from_brain(segmenter):
    """Pairs of one kind against pairs of two, from bundled images, without any training."""
    nuclei, brain = bundled.path("nuclei"), bundled.path("brain")
    volume = np.asanyarray(nib.load(brain / "image_icbm.nii.gz").dataobj)
    tissue = np.asanyarray(nib.load(brain / "label_icbm.nii.gz").dataobj)
    scenes = [
        (0, read_planes(file)[0], read_labels(nuclei / "masks" / file.name)[0] > 0)
        for file in sorted((nuclei / "images").iterdir())[:3]
    ] + [(1, volume[..., z], tissue[..., z] == 2) for z in (16, 22, 28)]
    supports = [segmenter.learn(image, mask, size=128) for _, image, mask in scenes]
    values, same = [], []
    for (kind, _, _), support in zip(scenes, supports, strict=True):
        for other, image, mask in scenes:
            if support is supports[0] and image is scenes[0][1]:
                continue
            del mask
            values.append(segmenter.segment(image, support).query_support_similarity)
            same.append(int(kind == other))
    assert roc_auc(values, same) > 0.95


def test_a_segmentation_says_how_well_its_support_fits(segmenter, tmp_path):
    image, labels = disc_scene(0)
    support = segmenter.learn(image, labels == 1, mirror=True)
    result = segmenter.segment(disc_scene(1)[0], support)
    assert MIN_SIMILARITY < result.query_support_similarity <= 1
    assert result.summary()["agreement"] == result.query_support_similarity
    again = load_support(save_support(support, tmp_path / "s.safetensors"))
    assert (
        segmenter.segment(disc_scene(1)[0], again).query_support_similarity
        == result.query_support_similarity
    )
    assert set(again.tensors) == set(support.tensors)
    assert set(again.mirrored.tensors) == set(support.mirrored.tensors)
    old = replace(support, shots={})  # a file of an earlier version
    assert segmenter.segment(disc_scene(1)[0], old).query_support_similarity is None
    volume = np.stack([disc_scene(1)[0]] * 2)
    found = segmenter.segment(volume, support, axes="ZYX").query_support_similarity
    assert found == pytest.approx(result.query_support_similarity, abs=0.02)


def test_a_picture_that_repeats_itself_asks_no_more_than_another_can_give():
    """Positions of one picture are alike to 0.99 and more; another one of its kind reaches 0.6."""
    generator = torch.Generator().manual_seed(0)
    kind = torch.nn.functional.normalize(torch.randn(32, generator=generator), dim=0)
    away = torch.nn.functional.normalize(torch.randn(32, generator=generator), dim=0)
    away = torch.nn.functional.normalize(away - (away @ kind) * kind, dim=0)

    def picture(cosine: float) -> torch.Tensor:
        centre = cosine * kind + (1 - cosine**2) ** 0.5 * away
        return centre[:, None, None] + 0.01 * torch.randn(32, 10, 10, generator=generator)

    support = picture(1.0)
    assert feature_similarity(picture(1.0), support[None]) > 0.9
    assert feature_similarity(picture(0.6), support[None]) == 1
    assert feature_similarity(picture(0.6), support[None], familiar=1.0) == 0
    assert feature_similarity(picture(0.4), support[None]) == 0


def test_padding_of_the_query_does_not_count():
    features, _ = two_halves()
    wide = torch.cat([features, torch.zeros_like(features)])
    query = wide.clone()
    query[:, :4] = torch.tensor([0, 0, 1, 0.0])[:, None, None]  # unlike anything annotated
    inside = torch.ones(8, 8, dtype=torch.bool)
    inside[:4] = False
    assert feature_similarity(query, wide[None]) == pytest.approx(0.5 / 0.9)
    assert feature_similarity(query, wide[None], inside) == 1


@pytest.mark.parametrize("size", [64, 128, 192])
def test_a_thin_structure_is_compared_with_what_its_own_mask_reaches(segmenter, size):
    """A line of three pixels: the way back alone is low at any size, and grows with it."""
    generator = np.random.default_rng(0)
    scenes = []
    for row in (30, 52):
        mask = np.zeros((96, 96), bool)
        mask[row : row + 3] = True
        scenes.append((np.where(mask, 200, 60) + generator.normal(0, 8, mask.shape), mask))
    (image, mask), (query, _) = scenes
    support = segmenter.learn(image.clip(0, 255).astype(np.uint8), mask, size=size)
    assert 0 < float(support.shots["own"]) <= 1
    found = segmenter.segment(query.clip(0, 255).astype(np.uint8), support)
    assert found.query_support_similarity > MIN_SIMILARITY
    assert found.doubt == ""
    bare = {k: v for k, v in support.shots.items() if k != "own"}  # of an earlier version
    again = segmenter.segment(found.source, replace(support, shots=bare))
    assert again.query_support_similarity == pytest.approx(found.query_support_similarity, abs=1e-3)
