import pytest

from episodes.errors import DataError
from fewshot.benchmark.headlines import best, read_headlines

PLACES = [("alpnet", "keep", "published"), ("alpnet", "keep", "all"), ("full-thirds", "any", "all")]
METHODS = ["copy-mask", "a", "b", "feature-grid"]


def row(method, mean, place=PLACES[0]):
    names = ("protocol", "training_exclusion", "support")
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
    words = ["x=a:alpnet:keep:all", "y=best:alpnet:keep:published"]
    x, y = (h.entry(rows) for h in read_headlines(words, METHODS, PLACES))
    assert (x["name"], x["value"], x["baseline"], x["of"]) == ("x", 25, 15, "a:alpnet:keep:all")
    assert (y["name"], y["value"], y["baseline"]) == ("y", 30, 10)


def test_one_support_of_all_and_the_training_time():
    cases = [
        *("support 0,0,s,liver,50,25,25,0", "support 0,0,t,liver,20,40,40,0"),
        *("support 1,0,s,liver,90,5,5,0", "support 1,0,t,liver,90,5,5,0"),
    ]
    rows = [
        {**row(method, 60, PLACES[1]), "unit": "Dice, 0 to 100", "cases": lines, "by_run": {}}
        for method, lines in (("copy-mask", cases[2:] + cases[:2]), ("a", cases))
    ]
    rows[1]["training_seconds"] = 90.0
    words = ["x=a:alpnet:keep:all/0", "y=minutes:a:alpnet:keep:all", "z=a:alpnet:keep:all/7"]
    x, y, z = read_headlines(words, METHODS, PLACES)
    found = x.entry(rows)  # Dice 100 / 150 and 40 / 120
    assert found["value"] == found["baseline"] == pytest.approx(50, abs=0.01)
    assert found["ci95"] == pytest.approx([100 / 3, 200 / 3])
    assert found["of"] == "a:alpnet:keep:all/0"
    assert y.entry(rows)["value"] == 1.5
    assert y.entry(rows)["baseline"] is None
    with pytest.raises(DataError, match="no run 'support 7'"):
        z.entry(rows)


def test_without_a_word_each_place_has_one():
    found = read_headlines([], METHODS, PLACES)
    assert [each.name for each in found] == [
        "benchmark_alpnet_keep_published",
        "benchmark_alpnet_keep_all",
        "benchmark_full_thirds_any_all",
    ]


def test_the_support_may_be_left_out_where_there_is_one():
    (found,) = read_headlines(["x=a:full-thirds:any"], METHODS, PLACES)
    assert found.place == PLACES[2]
    with pytest.raises(DataError, match="fits the supports published, all"):
        read_headlines(["x=a:alpnet:keep"], METHODS, PLACES)


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("a:alpnet:keep", "expected NAME=method"),
        ("=a:alpnet:keep", "expected NAME=method"),
        ("x=a:alpnet:keep:all:0", "expected NAME=method"),
        ("x=c:alpnet:keep", "names the method 'c'"),
        ("x=minutes:alpnet:keep", "expected NAME=method"),
        ("x=a:alpnet:keep:published/0", "names one run"),
        ("x=minutes:a:alpnet:keep:all/0", "names one run"),
        ("x=a:alpnett:keep", "did you mean 'alpnet'"),
        ("x=a:alpnet:all", "names the training exclusion 'all'"),
    ],
)
def test_a_word_that_names_nothing_is_told(word, message):
    with pytest.raises(DataError, match=message):
        read_headlines([word], METHODS, PLACES)
