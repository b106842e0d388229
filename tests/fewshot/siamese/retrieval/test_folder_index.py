"""The match index: against a slow search, through kills and damage, in a folder and on Milvus."""

import secrets

import numpy as np
import pytest

from episodes.errors import DataError
from fewshot.siamese.retrieval import exact_search as search_module
from fewshot.siamese.retrieval import folder_index as index_module
from fewshot.siamese.retrieval.open import create_index, open_index

pa = pytest.importorskip("pyarrow", reason="the extra 'match' (pyarrow) is not installed")

DIM = 6


def items(count, seed=0):
    generator = np.random.default_rng(seed)
    keys = [f"item {seed}.{number}" for number in range(count)]
    rows = [
        {"subject": f"s{number % 5}", "plane": number, "left": number % 2 == 0, "age": 30.5}
        for number in range(count)
    ]
    return keys, generator.normal(size=(count, DIM)).astype(np.float32), rows


@pytest.fixture(scope="module")
def database(tmp_path_factory):
    """One file of Milvus Lite, whose server takes seconds to start."""
    pytest.importorskip("pymilvus", reason="the extra 'match' (pymilvus) is not installed")
    pytest.importorskip("milvus_lite", reason="the extra 'match' (milvus-lite) is not installed")
    return tmp_path_factory.mktemp("milvus") / "scans.db"


@pytest.fixture(params=["folder", "milvus"])
def uri(request, tmp_path):
    if request.param == "folder":
        return tmp_path / "index"
    return f"{request.getfixturevalue('database')}#c{secrets.token_hex(6)}"


def slow(query, keys, vectors, rows, k, distance, where=(), without=()):
    found = []
    for key, vector, row in zip(keys, vectors, rows, strict=True):
        if any(row.get(name) != value for name, value in where):
            continue
        if any(row.get(name) == value for name, value in without):
            continue
        a, b = query.astype(float), vector.astype(float)
        far = np.linalg.norm(a - b)
        if distance == "cosine":
            far = 1 - a @ b / (np.linalg.norm(a) * np.linalg.norm(b))
        found.append((far, key))
    return sorted(found)[:k]


@pytest.mark.filterwarnings("ignore")  # of Milvus' own making
@pytest.mark.parametrize("distance", ["cosine", "euclidean"])
def test_search_equals_a_slow_loop(uri, distance, monkeypatch):
    monkeypatch.setattr(search_module, "TILE", 7)
    monkeypatch.setattr(index_module, "_QUERIES", 3)
    index = create_index(uri, DIM, distance=distance, metadata={"model": "abc"})
    keys, vectors, rows = items(40)
    index.add(keys[:25], vectors[:25], rows[:25])
    index.add(keys[25:], vectors[25:], rows[25:])
    queries = np.random.default_rng(9).normal(size=(5, DIM)).astype(np.float32)
    own = ["s0", "s1", None, "s3", "absent"]
    for where in ({}, {"left": True}, {"subject": "s2", "left": False}, {"age": 30.5}):
        for without in ({}, {"subject": own}):
            found = index.search(queries, 4, where=where, without=without)
            for number, matches in enumerate(found):
                banned = [("subject", own[number])] if without and own[number] else ()
                expected = slow(
                    queries[number], keys, vectors, rows, 4, distance, where.items(), banned
                )
                assert [match.key for match in matches] == [key for _, key in expected]
                np.testing.assert_allclose(
                    [match.distance for match in matches], [far for far, _ in expected], atol=1e-5
                )
                for match in matches:
                    assert match.metadata == rows[keys.index(match.key)]
    assert index.metadata == {"model": "abc"}
    assert index.distance == distance


@pytest.mark.filterwarnings("ignore")
def test_items_are_added_replaced_and_deleted(uri):
    index = create_index(uri, DIM)
    keys, vectors, rows = items(6)
    index.add(keys, vectors, rows)
    with pytest.raises(DataError, match=r"already; nothing was added"):
        index.add([keys[2], "new"], vectors[:2])
    index.update([keys[2], "new"], -vectors[[2, 3]], [{"subject": 'a "quoted" \\ one'}, {}])
    assert len(index) == 7
    best = index.search(-vectors[[2]], 1)[0][0]
    assert best.key == keys[2]
    assert best.metadata == {"subject": 'a "quoted" \\ one'}
    assert best.distance == pytest.approx(0, abs=1e-6)
    found = index.search(vectors, 10, where={"subject": 'a "quoted" \\ one'})
    assert {match.key for row in found for match in row} == {keys[2]}
    with pytest.raises(DataError, match=r"the index has no absent; nothing was deleted"):
        index.delete([keys[0], "absent"])
    index.delete([keys[0], "new"])
    assert sorted(index.keys()) == sorted(keys[1:])
    again = open_index(uri)
    assert len(again) == 5
    assert keys[0] not in [match.key for match in again.search(vectors[[0]], 10)[0]]


@pytest.mark.filterwarnings("ignore")
def test_bad_input_is_told_and_changes_nothing(uri):
    index = create_index(uri, DIM)
    keys, vectors, rows = items(3)
    index.add(keys, vectors, rows)
    with pytest.raises(DataError, match="3 channels and the index 6"):
        index.add(["x"], [[1.0, 2, 3]])
    with pytest.raises(DataError, match="not finite"):
        index.add(["x"], np.full((1, DIM), np.nan))
    with pytest.raises(DataError, match="given twice"):
        index.add(["x", "x"], vectors[:2])
    with pytest.raises(DataError, match="expected one of each"):
        index.add(["x", "y"], vectors[:1])
    with pytest.raises(DataError, match="a key is ''"):
        index.add([""], vectors[:1])
    with pytest.raises(DataError, match=r"named 'a b'"):
        index.add(["x"], vectors[:1], [{"a b": 1}])
    with pytest.raises(DataError, match=r"expected a string, number or boolean"):
        index.add(["x"], vectors[:1], [{"a": [1]}])
    with pytest.raises(DataError, match="k is 0"):
        index.search(vectors, 0)
    with pytest.raises(DataError, match=r"1 values of 'subject' for 3 queries"):
        index.search(vectors, 1, without={"subject": ["s1"]})
    assert len(index) == 3
    with pytest.raises(DataError, match=r"holds a match index|there is a collection"):
        create_index(uri, DIM)


def test_an_empty_index_finds_nothing(folder):
    index = create_index(folder, DIM)
    assert index.search(np.ones((2, DIM)), 3) == [[], []]
    assert len(index) == 0
    index.add([], np.zeros((0, DIM)))
    index.compact()
    assert index.keys() == []


def test_ties_go_to_what_was_written_first(folder):
    index = create_index(folder, DIM)
    same = np.ones((40, DIM))
    index.add([f"b{n:02}" for n in range(20)], same[:20])
    index.add([f"a{n:02}" for n in range(20)], same[20:])
    assert [m.key for m in index.search(same[:1], 3)[0]] == ["b00", "b01", "b02"]


def test_columns_grow_and_keep_their_types(folder):
    index = create_index(folder, DIM)
    _, vectors, _ = items(4)
    index.add(["a"], vectors[:1], [{"weight": 1.5}])
    index.add(["b"], vectors[1:2], [{"weight": 2, "site": "north"}])
    assert {m.key for m in index.search(vectors[:1], 9, where={"site": None})[0]} == {"a"}
    assert index.search(vectors[:1], 9, where={"weight": 2.0})[0][0].key == "b"
    both = index.search(vectors[:1], 9, where={"site": None, "weight": 9.0})
    assert both == [[]]
    with pytest.raises(DataError, match=r"'weight' is 'heavy', a string; the index holds double"):
        index.add(["c"], vectors[2:3], [{"weight": "heavy"}])
    with pytest.raises(DataError, match=r"no metadata color; it has weight, site"):
        index.search(vectors[:1], 1, where={"color": 1})
    with pytest.raises(DataError, match=r"the index holds double"):
        index.search(vectors[:1], 1, where={"weight": "x"})
    index.compact()
    assert index.search(vectors[1:2], 1)[0][0].metadata == {"weight": 2.0, "site": "north"}
