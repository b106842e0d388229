import pytest

from episodes.errors import DataError, EpisodeError
from episodes.protocols.fss1000 import ClassSplit, fss1000, read_classes
from tests.episodes.protocols.test_pascal5i import images

SPLIT = ClassSplit(("a", "b"), ("c",), ("d", "e"))
CATALOG = images(*({name: 50} for name in "aabbccdddee"), classes="abcde")


def test_every_image_of_a_test_class_is_a_query_once():
    found = fss1000(CATALOG, SPLIT, sizes=None)
    queries = [(c.plan.classes[0], int(c.plan.query[0][-3:])) for c in found.cases]
    assert queries == [("d", 6), ("d", 7), ("d", 8), ("e", 9), ("e", 10)]
    for case in found.cases:
        support = int(case.plan.support[0][0][-3:])
        assert support != int(case.plan.query[0][-3:])
        assert support in {"d": (6, 7, 8), "e": (9, 10)}[case.plan.classes[0]]
    assert [int(s.key[-3:]) for s in found.train.samples] == [0, 1, 2, 3]
    assert found.train.classes == ("a", "b")
    assert found.unit == "class"
    assert found.hash == fss1000(CATALOG, SPLIT, sizes=None).hash
    assert found.hash != fss1000(CATALOG, SPLIT, sizes=None, seed=1).hash


def test_lists_of_another_length_or_overlap_are_refused():
    with pytest.raises(DataError, match=r"the split has \(2, 1, 2\) classes; expected \(520, 240"):
        fss1000(CATALOG, SPLIT)
    with pytest.raises(DataError, match="classes a are on two sides"):
        ClassSplit(("a", "b"), ("c",), ("a",))
    with pytest.raises(DataError, match="no class 'z'"):
        fss1000(CATALOG, ClassSplit(("a",), ("b",), ("z",)), sizes=None)
    with pytest.raises(EpisodeError, match="classes e have at most 2 images"):
        fss1000(CATALOG, SPLIT, shot=2, sizes=None)
    with pytest.raises(EpisodeError, match="shot is 0"):
        fss1000(CATALOG, SPLIT, shot=0, sizes=None)


def test_class_lists_are_read_from_text(tmp_path):
    path = tmp_path / "test.txt"
    path.write_text("ab_wheel\n\nabacus \n", encoding="utf-8")
    assert read_classes(path) == ("ab_wheel", "abacus")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "names no class"),
        (b"a\nb\na\n", "names a twice"),
        (b"\xff\xfe", "cannot be read as text"),
        (b"a\n" * 2**20, "expected a list of class names"),
    ],
)
def test_a_bad_list_is_told(tmp_path, content, message):
    path = tmp_path / "test.txt"
    path.write_bytes(content)
    with pytest.raises(DataError, match=message):
        read_classes(path)
    with pytest.raises(DataError, match="there is no file"):
        read_classes(tmp_path / "nothing.txt")
