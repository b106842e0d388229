"""Volumes without annotation that pass a class on."""

import nibabel as nib
import numpy as np
import pytest
import torch

from episodes.catalog.class_areas import compute_class_areas
from episodes.protocols.alpnet import AlpnetSettings, alpnet
from episodes.readers import read_catalog
from fewshot.inference.volumes.atlas_propagation import AtlasPropagation
from fewshot.inference.volumes.registered_volumes import RegisteredVolumes, coverage_of
from fewshot.inference.volumes.registration import warp

ORGAN = np.s_[24:48, 16:40, 2:6]


@pytest.fixture
def catalog(tmp_path):
    """Six scans of one body, of eight slices; the organ lies in four of them."""
    rows, columns = np.mgrid[:64, :64]
    body = ((rows - 32) ** 2 + (columns - 32) ** 2 < 29**2)[..., None]
    for number in range(6):
        labels = np.zeros((64, 64, 8), np.uint8)
        labels[ORGAN] = 1
        steps = 4 * np.arange(8)  # no slice looks like another
        noise = np.random.default_rng(number).normal(0, 1, labels.shape)
        image = (60 + steps) * body + 100 * labels + noise
        for kind, array in (("image", image.astype(np.int16)), ("label", labels)):
            path = tmp_path / f"{kind}_{number}.nii.gz"
            nib.save(nib.Nifti1Image(array, np.diag([1.0, 1.0, 5.0, 1.0])), path)
    (tmp_path / "classes.json").write_text('{"1": "organ"}', encoding="utf-8")
    return compute_class_areas(read_catalog(tmp_path))


@pytest.fixture
def registered(catalog):
    """Features that are the image itself: grey value, place, and one of the body's outline."""
    numbers = {sample.key: n % 8 for n, sample in enumerate(catalog.samples)}

    def mask(key: str, name: str) -> torch.Tensor:
        full = np.zeros((64, 64, 8), np.uint8)
        full[ORGAN] = 1
        return torch.from_numpy(full[..., numbers[key]])

    def features(key: str) -> torch.Tensor:
        number = numbers[key]
        organ = coverage_of(mask(key, "organ")[None], 16, 16)[0]
        level = torch.full((16, 16), number / 8)
        row, column = torch.meshgrid(*[torch.arange(16) / 16] * 2, indexing="ij")
        return torch.stack([organ, 1 - organ, level, 1 - level, row, column])

    return RegisteredVolumes(catalog, features, mask)


def test_relays_are_training_scans_after_the_support(catalog, registered):
    intermediates = AtlasPropagation(registered, 2)
    intermediates.set_intermediates(alpnet(catalog, AlpnetSettings(fold=0, folds=3, support="all")))
    scan = {s.subject: registered.scan(s.key) for s in catalog.samples}
    names = {keys: subject for subject, keys in scan.items()}

    def of(support: str, query: str) -> list[str]:
        return [names[keys] for keys in intermediates.intermediates(scan[support], scan[query])]

    assert {names[keys] for keys in intermediates.scans} == {
        "2",
        "3",
        "4",
        "5",
    }  # 0 and 1 are tested
    assert of("2", "0") == ["3", "4"]
    assert of("4", "0") == ["5", "2"]
    assert of("4", "5") == ["2", "3"]  # never the query itself
    assert intermediates.with_count(0).intermediates(scan["2"], scan["0"]) == ()
    assert intermediates.with_count(9).intermediates(scan["2"], scan["0"]) == (
        scan["3"],
        scan["4"],
        scan["5"],
    )


def test_a_support_that_is_held_out_still_has_relays(catalog, registered):
    intermediates = AtlasPropagation(registered, 2)
    intermediates.set_intermediates(alpnet(catalog, AlpnetSettings(fold=0, folds=3, support=0)))
    support, query = (
        registered.scan(catalog.samples[16].key),
        registered.scan(catalog.samples[0].key),
    )
    assert support not in intermediates.scans
    assert [
        registered.scan(keys[0]) for keys in intermediates.intermediates(support, query)
    ] == list(intermediates.scans[:2])


def test_a_scan_that_lost_slices_passes_nothing_on(catalog, registered):
    intermediates = AtlasPropagation(registered, 2)
    intermediates.set_intermediates(
        alpnet(catalog, AlpnetSettings(fold=0, folds=3, training_exclusion="any", support="all"))
    )
    assert intermediates.scans == ()
    support, query = (
        registered.scan(catalog.samples[16].key),
        registered.scan(catalog.samples[0].key),
    )
    assert intermediates.propagate(support, support, "organ", query) is None


def test_a_class_arrives_through_relays_where_it_is(catalog, registered):
    intermediates = AtlasPropagation(registered, 3)
    intermediates.set_intermediates(alpnet(catalog, AlpnetSettings(fold=0, folds=3, support="all")))
    support, query = (
        registered.scan(catalog.samples[16].key),
        registered.scan(catalog.samples[0].key),
    )
    annotated = [support[n] for n in (2, 4, 5)]
    warped = intermediates.propagate(annotated, support, "organ", query)
    true = registered.coverage(query, query, "organ")
    assert warped.shape == true.shape
    assert 0 <= warped.min() <= warped.max() <= 1
    overlap = 2 * torch.minimum(warped, true).sum() / (warped.sum() + true.sum())
    assert overlap > 0.7
    parts = [
        warp(
            intermediates._coverage(tuple(annotated), support, "organ", each),
            registered.correspondences(query, each),
        )
        for each in intermediates.intermediates(support, query)
    ]
    assert len(parts) == 3
    torch.testing.assert_close(warped, sum(parts) / 3)


def test_a_relay_is_segmented_once(catalog, registered, monkeypatch):
    intermediates = AtlasPropagation(registered, 2)
    intermediates.set_intermediates(alpnet(catalog, AlpnetSettings(fold=0, folds=3, support="all")))
    support = registered.scan(catalog.samples[16].key)
    queries = [registered.scan(catalog.samples[n].key) for n in (0, 8)]
    intermediates.precompute(support, support, "organ", queries[0])

    def fail(*args):
        raise AssertionError("segmented again")

    monkeypatch.setattr("fewshot.inference.volumes.atlas_propagation.segment_volume", fail)
    for query in queries:
        assert intermediates.with_count(1).propagate(support, support, "organ", query) is not None
