"""The cases of a protocol of volumes, joined so that each names whole volumes."""

from collections import defaultdict
from dataclasses import replace

from episodes.catalog.catalog import Catalog
from episodes.protocols.base import Case, Protocol, named_samples, volumes
from episodes.sampling.episode import Plan


def whole_volumes(protocol: Protocol, catalog: Catalog) -> Protocol:
    """Merge the cases of a protocol of volumes so that each names whole volumes, in order.

    Args:
        protocol: e.g. of `full_volume`.
        catalog: of the protocol.

    Returns:
        The same tests: a case a run, query volume and class. Its support is every slice of the
        support volume where the whole volume is annotated in the protocol's settings, else every
        slice that is the support of some query.
    """
    scans = volumes(catalog)
    subject_of = {sample.key: sample.subject for sample in catalog.samples}
    whole = protocol.settings.get("annotated") == "volume"
    pairs: dict[tuple[str, str, str, str], list[str]] = defaultdict(list)
    named: dict[tuple[str, str, str, str], set[str]] = defaultdict(set)
    for case in protocol.cases:
        plan = case.plan
        support = subject_of[plan.support[0][0]]
        test = case.run, plan.classes[0], support, plan.query_subjects[0]
        pairs[test] += plan.query
        named[test].update(plan.support[0])
    cases: list[Case] = []
    for (run, name, support, query), keys in pairs.items():
        tested = set(keys)
        queries = tuple(sample.key for sample in scans[query] if sample.key in tested)
        given = named[run, name, support, query]
        shots = tuple(s.key for s in scans[support] if whole or s.key in given)
        plan = Plan(len(cases), (name,), (shots,), queries, (query,) * len(queries))
        cases.append(Case(run, plan))
    samples = named_samples(catalog, cases, protocol.test.classes)
    name = f"{protocol.name}, whole volumes"
    return replace(protocol, name=name, cases=tuple(cases), test=samples)
