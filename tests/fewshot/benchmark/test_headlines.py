import pytest

from episodes.errors import DataError
from fewshot.benchmark.headlines import best, read_headlines

PLACES = [("alpnet", "none", "published"), ("alpnet", "none", "all"), ("full-thirds", "any", "all")]
METHODS = ["copy-mask", "a", "b", "feature-grid"]


def row(method, mean, place=PLACES[0]):
    names = ("protocol", "exclude", "support")
    return {
        **dict(zip(names, place, strict=True)),
        **{"method": method, "mean": mean, "ci95": [1, 2], "unit": "Dice"},
    }


def test_the_best_is_neither_copied_nor_the_ceiling():
    rows = [row("copy-mask", 90), row("a", 50), row("b", 60), row("feature-grid", 97)]
    assert best(rows)["method"] == "b"
    assert best([row("a", None), row("b", 0.0)])["method"] == "b"
    assert best([rows[0], rows[3]])["method"] == "copy-mask"


def test_a_headline_finds_its_number_in_its_own_place():
    rows = [row(m, v, p) for p, step in ((PLACES[0], 0), (PLACES[1], 5)) for m, v in
            (("copy-mask", 10 + step), ("a", 20 + step), ("b", 30 - step))]  # fmt: skip
    words = ["x=a:alpnet:none:all", "y=best:alpnet:none:published"]
    x, y = (h.entry(rows) for h in read_headlines(words, METHODS, PLACES))
    assert (x["name"], x["value"], x["baseline"], x["of"]) == ("x", 25, 15, "a:alpnet:none:all")
    assert (y["name"], y["value"], y["baseline"]) == ("y", 30, 10)


def test_without_a_word_each_place_has_one():
    found = read_headlines([], METHODS, PLACES)
    assert [each.name for each in found] == [
        "benchmark_alpnet_none_published",
        "benchmark_alpnet_none_all",
        "benchmark_full_thirds_any_all",
    ]


def test_the_support_may_be_left_out_where_there_is_one():
    (found,) = read_headlines(["x=a:full-thirds:any"], METHODS, PLACES)
    assert found.place == PLACES[2]
    with pytest.raises(DataError, match="fits the supports published, all"):
        read_headlines(["x=a:alpnet:none"], METHODS, PLACES)


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("a:alpnet:none", "expected NAME=method"),
        ("=a:alpnet:none", "expected NAME=method"),
        ("x=a:alpnet:none:all:0", "expected NAME=method"),
        ("x=c:alpnet:none", "names the method 'c'"),
        ("x=a:alpnett:none", "did you mean 'alpnet'"),
        ("x=a:alpnet:all", "names the exclude 'all'"),
    ],
)
def test_a_word_that_names_nothing_is_told(word, message):
    with pytest.raises(DataError, match=message):
        read_headlines([word], METHODS, PLACES)
