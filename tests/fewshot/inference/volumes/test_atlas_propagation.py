"""Volumes without annotation that propagate a class."""

import numpy as np
import pytest
import torch

from fewshot.inference.inputs import ImageStack
from fewshot.inference.volumes.atlas_propagation import AnnotatedVolume, AtlasPropagation
from fewshot.inference.volumes.registered_volumes import RegisteredVolumes, coverage_of
from fewshot.inference.volumes.registration import warp

LABELS = np.zeros((8, 64, 64), np.uint8)
LABELS[2:6, 24:48, 16:40] = 1


class Features:
    """Features that are the annotation itself, the place in the volume and in the slice."""

    @staticmethod
    def volume(image):
        organ = coverage_of(torch.from_numpy(LABELS), 16, 16)
        level = (torch.arange(8) / 8)[:, None, None].expand(8, 16, 16)
        row, column = (
            each.expand(8, 16, 16)
            for each in torch.meshgrid(*[torch.arange(16) / 16] * 2, indexing="ij")
        )
        return torch.stack([organ, 1 - organ, level, 1 - level, row, column], dim=1)

    @staticmethod
    def mask(image, labels, way):
        return torch.from_numpy((labels == way).astype(np.uint8))


@pytest.fixture
def scans():
    return [ImageStack(LABELS.copy(), str(number), volume=True) for number in range(6)]


@pytest.fixture
def registered():
    return RegisteredVolumes(Features())


def propagation(registered, scans, count):
    atlas = AtlasPropagation(registered, count)
    atlas.set_intermediates(scans)
    return atlas


def annotated(registered, volume, planes):
    return AnnotatedVolume(volume, planes, registered.coverage(volume, LABELS, planes))


def test_intermediates_are_the_volumes_after_the_support(registered, scans):
    def names(count, support, query):
        atlas = propagation(registered, scans[2:], count)
        return [each.name for each in atlas.intermediates(scans[support], scans[query])]

    assert names(2, 2, 0) == ["3", "4"]
    assert names(2, 4, 0) == ["5", "2"]
    assert names(2, 4, 5) == ["2", "3"]  # never the query itself
    assert names(2, 1, 0) == ["2", "3"]  # the support is none of them
    assert names(0, 2, 0) == []
    assert names(9, 2, 0) == ["3", "4", "5"]


def test_without_intermediates_nothing_is_propagated(registered, scans):
    support = annotated(registered, scans[2], (2, 4, 5))
    assert propagation(registered, [], 2).propagate(support, scans[0]) is None


def test_a_class_is_propagated_to_where_it_is(registered, scans):
    atlas = propagation(registered, scans[2:], 3)
    support = annotated(registered, scans[2], (2, 4, 5))
    warped = atlas.propagate(support, scans[0])
    true = registered.coverage(scans[0], LABELS, range(8))
    assert warped.shape == true.shape
    assert 0 <= warped.min() <= warped.max() <= 1
    overlap = 2 * torch.minimum(warped, true).sum() / (warped.sum() + true.sum())
    assert overlap > 0.7
    parts = [
        warp(atlas._segment(support, each), registered.correspondences(scans[0], each))
        for each in atlas.intermediates(scans[2], scans[0])
    ]
    assert len(parts) == 3
    torch.testing.assert_close(warped, sum(parts) / 3)


def test_an_intermediate_is_segmented_once(registered, scans, monkeypatch):
    atlas = propagation(registered, scans[2:], 2)
    support = annotated(registered, scans[2], tuple(range(8)))
    atlas.precompute(support, scans[0])

    def fail(*args):
        raise AssertionError("segmented again")

    monkeypatch.setattr("fewshot.inference.volumes.atlas_propagation.segment_volume", fail)
    other = AtlasPropagation(registered, 1)
    other.share_cache(atlas)
    for query in scans[:2]:
        assert other.propagate(support, query) is not None
