"""Cases of chunks, joined to cases of whole volumes."""

from dataclasses import replace

from episodes.protocols.alpnet import AlpnetSettings, alpnet
from episodes.protocols.whole_volumes import whole_volumes
from tests.episodes.protocols import toy


def planes_of(keys):
    return [int(key.split("#")[1]) for key in keys]


def test_chunks_become_one_case_with_all_that_is_annotated_and_all_that_is_tested():
    catalog = toy.ten_scans()
    protocol = alpnet(catalog, AlpnetSettings(support=1))
    joined = whole_volumes(protocol, catalog)
    assert joined.name == f"{protocol.name}, whole volumes"
    tests = {(case.plan.classes[0], case.plan.query_subjects[0]) for case in protocol.cases}
    found = {(case.plan.classes[0], case.plan.query_subjects[0]) for case in joined.cases}
    assert len(joined.cases) == len(tests) < len(protocol.cases)
    assert found == tests
    for number, case in enumerate(joined.cases):
        plan = case.plan
        assert plan.index == number
        subject = plan.query_subjects[0]
        assert set(plan.query_subjects) == {subject}
        assert len(plan.query) == len(plan.query_subjects)
        chunks = [
            each.plan
            for each in protocol.cases
            if (each.plan.classes, each.plan.query_subjects[0]) == (plan.classes, subject)
        ]
        queries = {key for each in chunks for key in each.query}
        assert planes_of(plan.query) == sorted(planes_of(queries))
        given = {key for each in chunks for key in each.support[0]}
        assert planes_of(plan.support[0]) == sorted(planes_of(given))


def test_a_protocol_of_annotated_volumes_gives_every_slice_of_them():
    catalog = toy.ten_scans()
    protocol = alpnet(catalog)
    protocol = replace(protocol, settings={**protocol.settings, "annotated": "volume"})
    for case in whole_volumes(protocol, catalog).cases:
        assert planes_of(case.plan.support[0]) == list(range(12))
