"""Areas are remembered while files are unchanged, and a cache is never trusted blindly."""

import json
import os
import shutil
import threading
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from episodes.catalog.class_areas import compute_class_areas
from episodes.catalog.mask_counts import count_masks, count_values
from episodes.errors import DataError
from episodes.io.read import read_header, read_labels, read_mask
from episodes.masks.area_cache import MaskCounts, cache_folder, read_entries
from episodes.readers import read_catalog

OLD = 10**18  # nanoseconds since 1970: long before any test


@pytest.fixture
def reads(monkeypatch):
    """The names of the mask files whose pixels were read."""
    seen = []
    plain = read_mask

    def record(path):
        seen.append(path.name)
        return plain(path)

    monkeypatch.setattr("episodes.io.read.read_mask", record)
    return seen


@pytest.fixture
def aged_set(index_set):
    for path in (index_set / "masks").iterdir():
        os.utime(path, ns=(OLD, OLD))
    return index_set


def areas(root, cache, **options):
    catalog = compute_class_areas(read_catalog(root), cache=cache, **options)
    return {sample.key: dict(sample.areas) for sample in catalog.samples}


def test_a_second_scan_reads_no_pixels(aged_set, tmp_path, reads):
    first = areas(aged_set, tmp_path / "c")
    assert len(reads) == 8
    assert areas(aged_set, tmp_path / "c") == first
    assert len(reads) == 8
    assert areas(aged_set, None) == first
    assert len(reads) == 16


def test_a_changed_file_is_measured_again(aged_set, tmp_path, make_png, reads):
    cache, path = tmp_path / "c", aged_set / "masks" / "p0_a.png"
    before = areas(aged_set, cache)
    labels = read_mask(path).labels[0].copy()
    labels[labels == 1] = 2  # the file may well keep its size
    make_png(path, labels)
    reads.clear()
    after = areas(aged_set, cache)
    assert reads == ["p0_a.png"]
    key = "images/p0_a.png"
    assert after[key]["bar"] == before[key]["bar"] + before[key]["disc"]
    assert {k: v for k, v in after.items() if k != key} == {
        k: v for k, v in before.items() if k != key
    }


def test_a_touched_or_copied_file_is_hashed_and_not_measured(aged_set, tmp_path, reads):
    cache, path = tmp_path / "c", aged_set / "masks" / "p1_a.png"
    first = areas(aged_set, cache)
    reads.clear()
    os.utime(path, ns=(OLD + 5, OLD + 5))
    assert areas(aged_set, cache) == first
    shutil.copy(path, tmp_path / "copy")
    shutil.copy(tmp_path / "copy", path)
    assert areas(aged_set, cache) == first
    assert reads == []


def test_same_size_and_same_second_is_still_noticed(index_set, tmp_path, make_png):
    """The masks are seconds old, so the cache hashes them instead of trusting the clock."""
    path, cache = index_set / "masks" / "p0_a.png", tmp_path / "c"
    areas(index_set, cache)
    stat, content = path.stat(), path.read_bytes()
    labels = read_labels(path)[0]
    other = make_png(tmp_path / "other.png", np.where(labels, 4 - labels, 0)).read_bytes()
    size = max(len(content), len(other))
    path.write_bytes(content.ljust(size, b"\0"))
    os.utime(path, ns=(stat.st_mtime_ns, stat.st_mtime_ns))
    before = areas(index_set, cache)["images/p0_a.png"]
    path.write_bytes(other.ljust(size, b"\0"))
    os.utime(path, ns=(stat.st_mtime_ns, stat.st_mtime_ns))
    assert areas(index_set, cache)["images/p0_a.png"] != before


def test_files_added_and_removed(aged_set, tmp_path, reads):
    cache = tmp_path / "c"
    areas(aged_set, cache)
    reads.clear()
    for folder in ("images", "masks"):
        shutil.copy(aged_set / folder / "p0_a.png", aged_set / folder / "p9_a.png")
        (aged_set / folder / "p3_b.png").unlink()
    assert len(areas(aged_set, cache)) == 8
    assert reads == ["p9_a.png"]
    assert "p3_b.png" not in next(cache.iterdir()).read_text()


def test_a_label_map_changes_without_measuring(aged_set, tmp_path, reads):
    cache = tmp_path / "c"
    areas(aged_set, cache)
    reads.clear()
    (aged_set / "classes.json").write_text('{"instances": "thing"}')
    thing = areas(aged_set, cache)
    assert reads == []
    assert thing == areas(aged_set, None)


def test_counts_of_objects_do_not_stand_for_values(aged_set, tmp_path, make_png, reads):
    cache, path = tmp_path / "c", aged_set / "masks" / "p0_a.png"
    height, width = read_header(path).size
    make_png(path, (np.arange(height * width) % 6).reshape(height, width).astype(np.uint8))
    (aged_set / "classes.json").write_text('{"instances": "thing"}')
    areas(aged_set, cache)
    (aged_set / "classes.json").write_text('["a", "b", "c", "d", "e"]')
    reads.clear()
    found = areas(aged_set, cache)
    assert reads == ["p0_a.png"]  # up to three values are told apart in any case
    assert found == areas(aged_set, None)


def damage(text):
    head, body = text.splitlines()
    return {
        "empty": "",
        "cut": text[: len(text) // 2],
        "one digit": text[:-20] + ("1" if text[-20] != "1" else "2") + text[-19:],
        "no JSON": "{",
        "another version": head.replace("version 2", "version 1") + "\n" + body,
        "deep": "[" * 100_000,
        "a list": "[]\n[]",
    }


@pytest.mark.parametrize("how", damage("{}\n" + "x" * 40))
def test_a_damaged_cache_is_told_of_and_measured_again(aged_set, tmp_path, how, reads):
    cache = tmp_path / "c"
    first = areas(aged_set, cache)
    (path,) = cache.iterdir()
    path.write_text(damage(path.read_text())[how])
    reads.clear()
    with pytest.warns(UserWarning, match=r"the cache .* is not used, and the masks are measured"):
        assert areas(aged_set, cache) == first
    assert len(reads) == 8
    assert areas(aged_set, cache) == first  # and mended


def test_a_cache_with_a_right_checksum_and_wrong_numbers(aged_set, tmp_path):
    import hashlib

    cache = tmp_path / "c"
    areas(aged_set, cache)
    (path,) = cache.iterdir()
    head, body = (json.loads(line) for line in path.read_text().splitlines())
    next(iter(body.values()))[5][0][0][1] += 1
    text = json.dumps(body)
    head["sha256"] = hashlib.sha256(text.encode()).hexdigest()
    path.write_text(json.dumps(head) + "\n" + text)
    with pytest.warns(UserWarning, match="do not add up"):
        assert read_entries(path) == {}


def test_a_folder_that_cannot_be_written_does_no_harm(aged_set, tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("")
    with pytest.warns(UserWarning, match=r"not (remembered|used)"):
        found = areas(aged_set, blocked / "c")
    assert found == areas(aged_set, None)


def test_the_users_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "fewshot"
    for unset in ("", "relative"):  # the standard tells to ignore relative paths
        monkeypatch.setenv("XDG_CACHE_HOME", unset)
        assert cache_folder() == Path.home() / ".cache" / "fewshot"


@pytest.mark.parametrize("data", ["index_set", "class_masks_set", "stack_set", "nifti_set"])
def test_threads_change_nothing(request, data, tmp_path):
    root = request.getfixturevalue(data)
    alone = count_masks(read_catalog(root), workers=1, cache=tmp_path / "1")
    for workers in (2, 5):
        found = count_masks(read_catalog(root), workers=workers, cache=tmp_path / str(workers))
        assert found == alone
        assert list(found) == list(alone)
        files = [next((tmp_path / str(n)).iterdir()).read_bytes() for n in (1, workers)]
        assert files[0] == files[1]
    assert compute_class_areas(read_catalog(root), workers=3) == compute_class_areas(
        read_catalog(root), workers=1
    )


def test_of_several_bad_masks_the_first_is_told(index_set, make_png):
    for name in ("p1_b", "p3_a"):
        (index_set / "masks" / f"{name}.png").write_bytes(b"nothing")
    for workers in (1, 4):
        with pytest.raises(DataError, match=r"p1_b\.png is not an image"):
            compute_class_areas(read_catalog(index_set), workers=workers)
    with pytest.raises(DataError, match="workers is 0"):
        compute_class_areas(read_catalog(index_set), workers=0)


@pytest.mark.parametrize("workers", [1, 3])
def test_ctrl_c_keeps_what_was_measured(aged_set, tmp_path, monkeypatch, workers):
    plain, cache = read_mask, tmp_path / "c"
    seen = []

    def stop(path):
        seen.append(path.name)
        if path.name == "p2_a.png":
            raise KeyboardInterrupt
        return plain(path)

    monkeypatch.setattr("episodes.io.read.read_mask", stop)
    with pytest.raises(KeyboardInterrupt):
        compute_class_areas(read_catalog(aged_set), workers=workers, cache=cache)
    assert not [t for t in threading.enumerate() if t.name.startswith("measure")]
    monkeypatch.setattr(
        "episodes.io.read.read_mask", lambda path: seen.append("again") or plain(path)
    )
    assert areas(aged_set, cache) == areas(aged_set, None)
    assert 8 < len([name for name in seen if name == "again"]) < 8 + 8


small = array_shapes(min_dims=3, max_dims=3, max_side=5)
labels = st.sampled_from([np.uint8, np.uint16, np.int32, np.int64]).flatmap(
    lambda kind: arrays(kind, small, elements=st.sampled_from([0, 1, 2, 90, 255]))
)


@given(labels)
def test_counts_against_a_loop(values):
    found = count_values(values)
    assert found.shape == values.shape
    for plane, counts in zip(values, found.planes, strict=True):
        flat = plane.ravel().tolist()
        assert counts == {value: flat.count(value) for value in set(flat)}
    assert count_values(values, objects=True) == found.of_objects()


def test_large_values_are_sorted_rather_than_tabled():
    values = np.array([[[0, 10**12, 10**12]]])
    assert count_values(values) == MaskCounts((1, 1, 3), ({0: 1, 10**12: 2},), frame=5)


def test_progress_is_shown(index_set, capsys):
    count_masks(read_catalog(index_set), progress=True, workers=2)
    shown = capsys.readouterr().err
    assert "measuring masks" in shown
    assert "8/8" in shown
