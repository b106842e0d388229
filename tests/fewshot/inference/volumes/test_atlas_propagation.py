"""Volumes without annotation that pass a class on."""

import nibabel as nib
import numpy as np
import pytest
import torch

from episodes.catalog.class_areas import compute_class_areas
from episodes.protocols.alpnet import AlpnetSettings, alpnet
from episodes.readers import read_catalog
from fewshot.inference.volumes.atlas_propagation import Relays
from fewshot.inference.volumes.registered_volumes import LaidVolumes, shares_of
from fewshot.inference.volumes.registration import carry

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
def laid(catalog):
    """Features that are the image itself: grey value, place, and one of the body's outline."""
    numbers = {sample.key: n % 8 for n, sample in enumerate(catalog.samples)}

    def mask(key: str, name: str) -> torch.Tensor:
        full = np.zeros((64, 64, 8), np.uint8)
        full[ORGAN] = 1
        return torch.from_numpy(full[..., numbers[key]])

    def features(key: str) -> torch.Tensor:
        number = numbers[key]
        organ = shares_of(mask(key, "organ")[None], 16, 16)[0]
        level = torch.full((16, 16), number / 8)
        row, column = torch.meshgrid(*[torch.arange(16) / 16] * 2, indexing="ij")
        return torch.stack([organ, 1 - organ, level, 1 - level, row, column])

    return LaidVolumes(catalog, features, mask)


def test_relays_are_training_scans_after_the_support(catalog, laid):
    relays = Relays(laid, 2)
    relays.choose(alpnet(catalog, AlpnetSettings(fold=0, folds=3, support="all")))
    scan = {s.subject: laid.scan(s.key) for s in catalog.samples}
    names = {keys: subject for subject, keys in scan.items()}

    def of(support: str, query: str) -> list[str]:
        return [names[keys] for keys in relays.of(scan[support], scan[query])]

    assert {names[keys] for keys in relays.scans} == {"2", "3", "4", "5"}  # 0 and 1 are tested
    assert of("2", "0") == ["3", "4"]
    assert of("4", "0") == ["5", "2"]
    assert of("4", "5") == ["2", "3"]  # never the query itself
    assert relays.again(0).of(scan["2"], scan["0"]) == ()
    assert relays.again(9).of(scan["2"], scan["0"]) == (scan["3"], scan["4"], scan["5"])


def test_a_support_that_is_held_out_still_has_relays(catalog, laid):
    relays = Relays(laid, 2)
    relays.choose(alpnet(catalog, AlpnetSettings(fold=0, folds=3, support=0)))
    support, query = laid.scan(catalog.samples[16].key), laid.scan(catalog.samples[0].key)
    assert support not in relays.scans
    assert [laid.scan(keys[0]) for keys in relays.of(support, query)] == list(relays.scans[:2])


def test_a_scan_that_lost_slices_passes_nothing_on(catalog, laid):
    relays = Relays(laid, 2)
    relays.choose(alpnet(catalog, AlpnetSettings(fold=0, folds=3, exclude="any", support="all")))
    assert relays.scans == ()
    support, query = laid.scan(catalog.samples[16].key), laid.scan(catalog.samples[0].key)
    assert relays.carried(support, support, "organ", query) is None


def test_a_class_arrives_through_relays_where_it_is(catalog, laid):
    relays = Relays(laid, 3)
    relays.choose(alpnet(catalog, AlpnetSettings(fold=0, folds=3, support="all")))
    support, query = laid.scan(catalog.samples[16].key), laid.scan(catalog.samples[0].key)
    annotated = [support[n] for n in (2, 4, 5)]
    carried = relays.carried(annotated, support, "organ", query)
    true = laid.shares(query, query, "organ")
    assert carried.shape == true.shape
    assert 0 <= carried.min() <= carried.max() <= 1
    overlap = 2 * torch.minimum(carried, true).sum() / (carried.sum() + true.sum())
    assert overlap > 0.7
    parts = [
        carry(relays._shares(tuple(annotated), support, "organ", each), laid.places(query, each))
        for each in relays.of(support, query)
    ]
    assert len(parts) == 3
    torch.testing.assert_close(carried, sum(parts) / 3)


def test_a_relay_is_segmented_once(catalog, laid, monkeypatch):
    relays = Relays(laid, 2)
    relays.choose(alpnet(catalog, AlpnetSettings(fold=0, folds=3, support="all")))
    support = laid.scan(catalog.samples[16].key)
    queries = [laid.scan(catalog.samples[n].key) for n in (0, 8)]
    relays.learn(support, support, "organ", queries[0])

    def fail(*args):
        raise AssertionError("segmented again")

    monkeypatch.setattr("fewshot.inference.volumes.atlas_propagation.segment_volume", fail)
    for query in queries:
        assert relays.again(1).carried(support, support, "organ", query) is not None
