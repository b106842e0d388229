import numpy as np
import pytest
from faster_coco_eval.core import mask as oracle
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from episodes.errors import DataError
from episodes.io.formats.polygons import fill, unpack
from episodes.io.formats.rle import counts_of_text, from_counts, from_pairs

masks = arrays(bool, array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=40))


@settings(max_examples=150, deadline=None)
@given(masks)
def test_compressed_counts_are_those_of_the_library(mask):
    packed = oracle.encode(np.asfortranarray(mask.astype(np.uint8)))
    text = packed["counts"]
    text = text.decode() if isinstance(text, bytes) else text
    size = (mask.shape[0], mask.shape[1])
    np.testing.assert_array_equal(from_counts(counts_of_text(text), size), mask)
    assert (unpack({"size": list(size), "counts": text}, size) == mask).all()


@settings(max_examples=100, deadline=None)
@given(masks)
def test_pairs_are_the_slow_loop(mask):
    flat, pairs, start = mask.ravel(order="F"), [], None
    for place, value in enumerate([*flat.tolist(), False]):
        if value and start is None:
            start = place
        if not value and start is not None:
            pairs += [start + 1, place - start]
            start = None
    found = from_pairs(" ".join(map(str, pairs)), (mask.shape[0], mask.shape[1]))
    np.testing.assert_array_equal(found, mask)


@pytest.mark.parametrize(
    ("counts", "message"),
    [
        ([1, 2], r"add up to 3; expected 2 x 3"),
        ([-1, 7], r"something else than whole numbers"),
        ([1.5, 4.5], r"something else than whole numbers"),
        ([True, 5], r"something else than whole numbers"),
        ([10**30], r"add up to 10{30}; expected"),
    ],
)
def test_counts_that_are_refused(counts, message):
    with pytest.raises(DataError, match=message):
        from_counts(counts, (2, 3))


@pytest.mark.parametrize("text", ["5é", "~", " ", "P", "oooooooooooo0"])
def test_texts_that_are_refused(text):
    with pytest.raises(DataError, match="compressed run-lengths"):
        counts_of_text(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1", "expected pairs"),
        ("1 a", "expected pairs"),
        ("-1 2", "expected pairs"),
        ("0 1", "reach outside"),
        ("6 2", "reach outside"),
        ("1 99999999999", "reach outside"),
        ("1 999999999999", "expected pairs"),
    ],
)
def test_pairs_that_are_refused(text, message):
    with pytest.raises(DataError, match=message):
        from_pairs(text, (2, 3))


@pytest.mark.parametrize("size", [(0, 3), (-1, 3), (10**6, 10**6)])
def test_sizes_that_are_refused(size):
    for decode in (lambda: from_counts([6], size), lambda: from_pairs("", size)):
        with pytest.raises(DataError, match=r"the image size is .*expected height and width"):
            decode()


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_polygons_differ_from_the_library_along_the_border_alone(seed):
    generator = np.random.default_rng(seed)
    angles = np.sort(generator.uniform(0, 2 * np.pi, 9))
    radii = generator.uniform(8, 24, 9)
    corners = np.stack([32 + radii * np.cos(angles), 30 + radii * np.sin(angles)], 1)
    outline = corners.ravel().tolist()
    ours = fill([outline], (60, 64))
    theirs = oracle.decode(oracle.merge(oracle.frPyObjects([outline], 60, 64))).astype(bool)
    rows, columns = np.nonzero(ours != theirs)
    points = np.stack([columns + 0.5, rows + 0.5], 1)
    ends = np.roll(corners, -1, axis=0)
    for point in points:  # the distance to the nearest edge
        along = np.clip(
            ((point - corners) * (ends - corners)).sum(1) / ((ends - corners) ** 2).sum(1), 0, 1
        )
        nearest = corners + along[:, None] * (ends - corners)
        assert np.linalg.norm(point - nearest, axis=1).min() < 1.5


def test_a_triangle_by_hand():
    # Pixel centres (0.5, 0.5), (1.5, 0.5), … lie below the diagonal from (0, 0) to (4, 4).
    found = fill([[0, 0.1, 4, 4.1, 0, 4.1]], (4, 4))
    np.testing.assert_array_equal(found, np.tril(np.ones((4, 4)), -1) > 0)


def test_filling_in_strips_changes_nothing(monkeypatch):
    outline = [3.2, 1.1, 30.7, 4.9, 22.3, 38.4, 9.9, 25.0]
    whole = fill([outline], (40, 36))
    for strip in (1, 36, 36 * 7):
        monkeypatch.setattr("episodes.io.formats.polygons.STRIP", strip)
        np.testing.assert_array_equal(fill([outline], (40, 36)), whole)


@pytest.mark.parametrize(
    "outline",
    [
        [0, 0, 1, 1],
        [0, 0, 1, 1, 2],
        [0, 0, 1, 1, float("nan"), 2],
        [0, 0, 1e300, 1, 2, 2],
        "abc",
        3,
    ],
)
def test_outlines_that_are_refused(outline):
    with pytest.raises(DataError, match="a polygon"):
        fill([outline], (4, 4))


def test_segmentations_of_other_forms():
    with pytest.raises(DataError, match=r"are for the size \[3, 2\]; the picture has \[2, 3\]"):
        unpack({"size": [3, 2], "counts": [6]}, (2, 3))
    with pytest.raises(DataError, match="neither a list nor text"):
        unpack({"size": [2, 3], "counts": None}, (2, 3))
    with pytest.raises(DataError, match="neither a list of polygons nor"):
        unpack(None, (2, 3))
