"""The match index: against a slow search, through kills and damage, in a folder and on Milvus."""

import json
import os
import random
import secrets
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from episodes.errors import DataError
from fewshot.siamese import index as index_module
from fewshot.siamese import search as search_module
from fewshot.siamese.index import FolderIndex
from fewshot.siamese.matches import create_index, open_index
from tests.fewshot.siamese import writer

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


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "index"


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
    index = create_index(uri, DIM, distance=distance, about={"model": "abc"})
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
    assert index.about == {"model": "abc"}
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


def test_files_that_nothing_names_are_removed(folder):
    index = create_index(folder, DIM)
    keys, vectors, rows = items(9)
    index.add(keys, vectors, rows)
    (folder / "s0123456789ab.f32").write_bytes(b"left by a kill")
    (folder / "mine.txt").write_text("a user's own")
    index.delete(keys[:3])
    index.delete(keys[3:5])
    index.compact()
    names = {path.suffix for path in folder.iterdir()}
    assert sum(path.suffix in (".f32", ".arrow", ".dead") for path in folder.iterdir()) == 2
    assert ".txt" in names
    assert sorted(index.keys()) == sorted(keys[5:])
    index.check()


def test_killed_20_times_while_writing_it_opens_with_a_committed_state(folder):
    """Every commit adds all 8 items of a round, or takes all those of earlier rounds out."""
    create_index(folder, DIM)
    starter = subprocess.Popen(
        [sys.executable, writer.__file__, str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        bufsize=1,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])},
    )
    generator = random.Random(0)
    last, seen = 0, set()
    for _ in range(20):
        before = FolderIndex(folder)._manifest.commits
        starter.stdin.write("go\n")
        process = int(starter.stdout.readline())
        deadline = time.monotonic() + 60
        while FolderIndex(folder)._manifest.commits == before and time.monotonic() < deadline:
            time.sleep(0.01)
        time.sleep(generator.uniform(0, 0.05))
        os.kill(process, signal.SIGKILL)
        assert starter.stdout.readline() == "dead\n"
        index = FolderIndex(folder)
        index.check()
        keys = index.keys()
        rounds = Counter(int(key.split()[1]) for key in keys)
        assert set(rounds.values()) == {8}
        assert max(rounds) >= last
        last = max(rounds)
        seen.add(last)
        found = index.search(np.ones((1, DIM)), len(index) + 1)[0]
        assert len(found) == len(index)
        assert all(match.metadata["round"] == int(match.key.split()[1]) for match in found)
    starter.communicate()
    assert starter.returncode == 0
    assert len(seen) > 5
    index.update(["at last"], np.ones((1, DIM)))
    assert not list(folder.glob(".partial-*"))


def test_damage_is_told(folder, tmp_path):
    index = create_index(folder, DIM)
    keys, vectors, rows = items(9)
    index.add(keys, vectors, rows)
    index.delete(keys[:1])
    (segment,) = folder.glob("*.f32")

    def damaged(change):
        copy = tmp_path / "copy"
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(folder, copy)
        change(copy)
        with pytest.raises(DataError, match=r"damaged|no match index"):
            FolderIndex(copy).check()

    def flip(name, place=-9):
        def change(copy):
            (path,) = copy.glob(name)
            content = bytearray(path.read_bytes())
            content[place] ^= 0xFF
            path.write_bytes(content)

        return change

    def edit(**changes):
        def change(copy):
            path = copy / "manifest.json"
            path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))

        return change

    entry = json.loads((folder / "manifest.json").read_text())["segments"][0]
    for name in ("*.f32", "*.arrow", "*.dead"):
        damaged(flip(name, 0))
        damaged(lambda copy, name=name: next(copy.glob(name)).unlink())
        damaged(lambda copy, name=name: next(copy.glob(name)).write_bytes(b""))
    damaged(lambda copy: (copy / "manifest.json").write_text("{"))
    damaged(lambda copy: (copy / "manifest.json").write_text("[1]"))
    damaged(lambda copy: (copy / "manifest.json").unlink())
    damaged(edit(format=99))
    damaged(edit(dim=0))
    damaged(edit(dim="6"))
    damaged(edit(distance="hamming"))
    damaged(edit(columns={"a": "object"}))
    damaged(edit(segments=[{**entry, "name": "../../etc/passwd"}]))
    damaged(edit(segments=[{**entry, "dead": "../x.dead"}]))
    damaged(edit(segments=[{**entry, "rows": -1}]))
    damaged(edit(segments=[{**entry, "rows": 10**12}]))
    damaged(edit(segments=[{"name": segment.stem}]))
    index.check()


def test_a_second_writer_waits_and_is_told(folder, monkeypatch):
    index = create_index(folder, DIM)
    monkeypatch.setattr(index_module, "_PATIENCE", 0.05)
    with index._changing(), pytest.raises(DataError, match="another process has been changing"):
        FolderIndex(folder).add(["x"], np.ones((1, DIM)))
    FolderIndex(folder).add(["x"], np.ones((1, DIM)))
    index.add(["y"], np.ones((1, DIM)))  # sees what the other one wrote
    assert index.keys() == ["x", "y"]


def test_without_the_extra_one_error_names_it(folder, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    with pytest.raises(DataError, match=r"fewshot-segmentation\[match\]"):
        create_index(folder, DIM)
