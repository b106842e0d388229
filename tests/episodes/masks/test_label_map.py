import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from episodes.errors import DataError
from episodes.io.pixels import MaskRef, PixelRef
from episodes.masks.label_map import (
    class_map,
    label_map_classes,
    named,
    parse_label_map,
    read_label_map,
)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ({"1": "liver", "4": None}, {1: "liver", 4: None}),
        ({0: "background", 2: "spleen"}, {2: "spleen"}),
        ({"255": "sky"}, {255: "sky"}),
        (["liver", None, "spleen"], {1: "liver", 2: None, 3: "spleen"}),
        ({"instances": "nucleus"}, "nucleus"),
    ],
)
def test_parse(content, expected):
    assert parse_label_map(content) == expected


@pytest.mark.parametrize(
    "content",
    [
        *({}, [], "liver", 3, None, {"liver": 1}, {"1": 2}, {"1": ""}, {"-1": "liver"}),
        *({"1.5": "liver"}, {"1": None}, {"0": "background"}, [None], {"instances": 3}, [["a"]]),
        *({"instances": "nucleus", "1": "liver"}, {True: "liver"}),
    ],
)
def test_parse_refuses_what_is_no_label_map(content):
    with pytest.raises(DataError, match=r'expected \{"1": "liver", "2": "spleen"\}'):
        parse_label_map(content)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("classes.json", '{"1": "liver", "2": null}'),
        ("classes.yaml", "1: liver\n2: null\n"),
        ("classes.yml", "# organs\n'1': liver\n2:\n"),
    ],
)
def test_read(tmp_path, name, text):
    (tmp_path / name).write_text(text, encoding="utf-8")
    assert read_label_map(tmp_path) == {1: "liver", 2: None}


def test_no_label_map_file_is_none(tmp_path):
    assert read_label_map(tmp_path) is None


BOMB = "a: &a [x, x, x, x, x, x, x, x]\n" + "".join(
    f"{name}: &{name} [{', '.join([f'*{before}'] * 9)}]\n"
    for before, name in zip("abcdefghi", "bcdefghij", strict=True)
)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("classes.json", b'{"1": "liver"'),
        ("classes.json", b"\xff\xfe\x00"),
        ("classes.json", b"[" * 100_000),
        ("classes.json", b'{"' + b"9" * 5000 + b'": "liver"}'),
        ("classes.json", b" " * 2_000_000),
        ("classes.yaml", b"1: [liver"),
        ("classes.yaml", b"!!python/object/apply:os.getcwd []"),
        ("classes.yaml", b"? [1]\n: liver"),
        ("classes.yaml", b"[" + BOMB.replace("\n", "\n ").encode() + b"]"),
        ("classes.yaml", BOMB.encode()),
        ("classes.yaml", f"1: &z\n {BOMB.replace(chr(10), chr(10) + ' ')}".encode()),
    ],
)
def test_damaged_or_hostile_label_map_files(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=rf"{name} (cannot be used|has 2,000,000 bytes)") as caught:
        read_label_map(tmp_path)
    assert len(str(caught.value)) < 500


def test_class_map_by_hand():
    labels = np.array([[0, 1, 2], [4, 255, 1]])
    label_map = {1: "liver", 2: "spleen", 4: None, 255: "unknown"}
    both = class_map(labels, label_map, ("spleen", "liver"), "m")
    assert both.dtype == np.uint8
    assert both.tolist() == [[0, 2, 1], [0, 255, 2]]
    assert class_map(labels, label_map, ("liver",), "m").tolist() == [[0, 1, 0], [0, 255, 1]]
    assert class_map(labels, label_map, (), "m").tolist() == [[0, 0, 0], [0, 255, 0]]
    assert class_map(labels, "cell", ("cell",), "m").tolist() == [[0, 1, 1], [1, 1, 1]]
    assert class_map(labels, "cell", ("liver",), "m").tolist() == [[0, 0, 0], [0, 0, 0]]


def test_255_may_be_a_class_or_background_where_the_label_map_says_so():
    labels = np.array([0, 255])
    assert class_map(labels, {255: "sky"}, ("sky",), "m").tolist() == [0, 1]
    assert class_map(labels, {1: "sky", 255: None}, ("sky",), "m").tolist() == [0, 0]


def test_several_values_may_share_a_class():
    label_map = {1: "kidney", 2: "kidney"}
    assert class_map(np.array([0, 1, 2]), label_map, ("kidney",), "m").tolist() == [0, 1, 1]
    assert label_map_classes(label_map) == ("kidney",)


def test_class_map_refuses_a_value_that_nobody_named():
    with pytest.raises(DataError, match=r"mask m.png holds 3, 9, which nobody named; .*1 liver"):
        class_map(np.array([0, 1, 3, 9]), {1: "liver"}, ("liver",), "m.png")


def test_class_map_refuses_more_classes_than_bytes():
    with pytest.raises(DataError, match="255 classes at once; at most 254"):
        class_map(np.array([0]), "a", tuple(map(str, range(255))), "m")


@given(
    st.lists(st.sampled_from([0, 1, 2, 3, 255]), min_size=1, max_size=30), st.permutations("abc")
)
def test_class_map_is_the_loop(values, classes):
    label_map = {1: "a", 2: "b", 3: None, 255: "unknown"}
    expected = [
        255 if v == 255 else classes.index(label_map[v]) + 1 if label_map.get(v) in classes else 0
        for v in values
    ]
    assert class_map(np.array(values), label_map, tuple(classes), "m").tolist() == expected


def test_label_map_classes():
    assert label_map_classes(None) == ()
    assert label_map_classes("nucleus") == ("nucleus",)
    assert label_map_classes({7: "b", 2: "a", 3: None, 9: "a"}) == ("a", "b")


def test_named():
    pixels = PixelRef(Path("m.png"))
    assert named(MaskRef(pixels, "nucleus")) == "nucleus"
    with pytest.raises(DataError, match=r"m.png has no label map yet; call"):
        named(MaskRef(pixels))


def test_a_label_map_survives_json():
    label_map = {1: "liver", 200: "späen"}
    assert parse_label_map(json.loads(json.dumps(label_map))) == label_map
