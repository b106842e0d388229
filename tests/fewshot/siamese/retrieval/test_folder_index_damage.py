"""The match index survives kills, says what is damaged, and has one writer."""

import json
import os
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
from fewshot.siamese.retrieval import folder_index as index_module
from fewshot.siamese.retrieval.folder_index import FolderIndex
from fewshot.siamese.retrieval.open import create_index
from tests.fewshot.siamese.retrieval import writer
from tests.fewshot.siamese.retrieval.test_folder_index import DIM, items


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


def test_killed_8_times_while_writing_it_opens_with_a_committed_state(folder):
    """Every commit adds all 8 items of a round, or takes all those of earlier rounds out."""
    create_index(folder, DIM)
    starter = subprocess.Popen(
        [sys.executable, writer.__file__, str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        bufsize=1,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[4])},
    )
    last, seen = 0, set()
    for seconds in np.linspace(0, 0.05, 8):
        before = FolderIndex(folder)._manifest.commits
        starter.stdin.write("go\n")
        process = int(starter.stdout.readline())
        deadline = time.monotonic() + 60
        while FolderIndex(folder)._manifest.commits == before and time.monotonic() < deadline:
            time.sleep(0.01)
        time.sleep(seconds)
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
