from dataclasses import replace

import pytest

from episodes.catalog.class_areas import compute_class_areas
from episodes.catalog.duplicates import Pair
from episodes.errors import DataError
from episodes.protocols.alpnet import AlpnetSettings, alpnet
from episodes.readers import read_catalog
from fewshot.benchmark.leakage import check


@pytest.fixture
def catalog(nifti_set):
    return compute_class_areas(read_catalog(nifti_set))


@pytest.fixture
def protocol(catalog):
    """Scan 0 is tested with scan 1; scan 2 is trained on."""
    return alpnet(catalog, AlpnetSettings(fold=0, folds=3))


def test_nothing_leaks_from_a_protocol_as_it_is(protocol, catalog):
    found = check(protocol, catalog, "published", [])
    assert (found.subjects, found.supports, found.labelled) == ((), (), ())
    assert (found.equal, found.alike, found.looked) == ((), (), True)
    assert set(found.unlabelled) == {"liver", "spleen"}
    assert not check(protocol, catalog, "published", None).looked


@pytest.mark.parametrize("scan", [0, 1])
def test_a_planted_scan_is_refused(protocol, catalog, scan):
    names = list(catalog.subjects)
    planted = catalog.of_subjects([names[scan], names[2]]).of_classes(())
    with pytest.raises(DataError, match="alpnet, fold 0: the test is in training"):
        check(replace(protocol, train=planted), catalog, "published", [])


def test_a_planted_image_under_another_subject_is_refused(protocol, catalog):
    stolen = replace(
        next(s for s in catalog.samples if s.subject == catalog.subjects[0]),
        subject="stranger",
        key="elsewhere",
    )
    samples = (*protocol.train.samples, stolen)
    with pytest.raises(DataError, match=r"images in training and test: 1"):
        check(
            replace(protocol, train=replace(protocol.train, samples=samples)),
            catalog,
            "published",
            [],
        )


def test_a_labelled_class_is_refused(protocol, catalog):
    told = catalog.of_subjects([catalog.subjects[2]]).of_classes(["liver"])
    with pytest.raises(DataError, match="classes labelled in training: liver"):
        check(replace(protocol, train=told), catalog, "published", [])


def test_support_scans_that_are_trained_on_are_named(catalog):
    protocol = alpnet(catalog, AlpnetSettings(fold=0, folds=3, support="all"))
    found = check(protocol, catalog, "all", [])
    assert found.supports == catalog.subjects[1:]
    with pytest.raises(DataError, match="the test is in training"):
        check(protocol, catalog, "published", [])


def test_only_pairs_between_training_and_test_count(protocol, catalog):
    subjects = [sample.subject for sample in catalog.samples]
    place = {name: subjects.index(name) for name in catalog.subjects}
    zero, one, two = (place[name] for name in catalog.subjects)
    pairs = [Pair(two, zero, True), Pair(one, two, False), Pair(zero, one, True)]
    found = check(protocol, catalog, "published", pairs)
    keys = [sample.key for sample in catalog.samples]
    assert found.equal == ((keys[two], keys[zero]),)
    assert found.alike == ((keys[two], keys[one]),)
