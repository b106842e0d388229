"""Oracles: SciPy's permutation test, signed rank test and false discovery control."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from fewshot.metrics.comparison import (
    benjamini_hochberg,
    compare_methods,
    differences,
    holm,
    paired_test,
)


def scores(seed, size=10, gain=0.05):
    generator = np.random.default_rng(seed)
    first = generator.normal(0.8, 0.05, size)
    return first + gain, first + generator.normal(0, 0.05, size)


@pytest.mark.parametrize("seed", range(4))
def test_exact_permutation_test_agrees_with_scipy(seed):
    first, second = scores(seed)
    expected = stats.permutation_test(
        (first - second,), np.mean, permutation_type="samples", n_resamples=np.inf
    )
    # SciPy doubles the smaller tail; over all sign patterns the two tails mirror each other
    assert paired_test(first, second, range(10)) == pytest.approx(expected.pvalue)


def test_random_patterns_come_close_to_all_patterns():
    first, second = scores(0, size=12, gain=0.02)
    exact = paired_test(first, second, range(12))
    drawn = paired_test(first, second, range(12), resamples=4095)
    assert 0.01 < exact < 0.9
    assert drawn == pytest.approx(exact, abs=0.03)
    assert drawn != exact


def test_random_patterns_never_give_0():
    first = np.arange(1.0, 41.0)
    assert paired_test(first, np.zeros(40), range(40), resamples=999) == 1 / 1000


@pytest.mark.parametrize("seed", range(3))
def test_signed_rank_test_is_scipys(seed):
    first, second = scores(seed)
    expected = stats.wilcoxon(first, second).pvalue
    assert paired_test(first, second, range(10), test="wilcoxon") == pytest.approx(expected)


def test_subjects_are_the_unit():
    first, second = scores(1, size=5)
    expected = paired_test(first, second, range(5))
    repeated = [np.repeat(each, 30) for each in (first, second)]
    assert paired_test(*repeated, np.repeat(range(5), 30).tolist()) == expected >= 2 / 2**5


def test_no_difference_no_pair_and_infinite_values():
    for test in ("permutation", "wilcoxon"):
        assert paired_test([1, 2], [1, 2], range(2), test=test) == 1
        assert math.isnan(paired_test([1, math.nan], [math.nan, 2], range(2), test=test))
    with pytest.raises(ValueError, match="2 values are infinite"):
        differences([math.inf, 1], [math.inf, 2])
    with pytest.raises(ValueError, match="pair them by case"):
        differences([1], [1, 2])
    with pytest.raises(ValueError, match="test is 't'"):
        paired_test([1], [2], [0], test="t")


p_values = st.lists(st.floats(0, 1), min_size=1, max_size=12)


@given(p_values)
def test_benjamini_hochberg_is_scipys(values):
    np.testing.assert_allclose(benjamini_hochberg(values), stats.false_discovery_control(values))


@given(p_values)
def test_holm_is_the_loop(values):
    order = sorted(range(len(values)), key=values.__getitem__)
    expected, worst = [0.0] * len(values), 0.0
    for rank, index in enumerate(order):
        worst = max(worst, min(1.0, (len(values) - rank) * values[index]))
        expected[index] = worst
    np.testing.assert_allclose(holm(values), expected)
    assert (holm(values) >= benjamini_hochberg(values) - 1e-12).all()


def test_undefined_p_values_are_no_tests():
    np.testing.assert_array_equal(holm([0.01, math.nan, 0.04]), [0.02, math.nan, 0.04])
    np.testing.assert_array_equal(benjamini_hochberg([math.nan]), [math.nan])
    assert holm([]).size == 0
    with pytest.raises(ValueError, match="expected numbers in"):
        holm([1.2])


def test_all_pairs_and_one_baseline():
    first, second = scores(0)
    methods = {"a": first, "b": second, "c": second - 0.1}
    pairs = compare_methods(methods, range(10))
    assert [each[:2] for each in pairs] == [("a", "b"), ("a", "c"), ("b", "c")]
    np.testing.assert_allclose(
        [each.adjusted for each in pairs], holm([each.p_value for each in pairs])
    )
    for each in pairs:
        assert each.difference.mean == pytest.approx(
            (methods[each.first] - methods[each.second]).mean()
        )
        assert each.difference.low <= each.difference.mean <= each.difference.high
    against = compare_methods(methods, range(10), baseline="c", correction="none")
    assert [each[:2] for each in against] == [("a", "c"), ("b", "c")]
    assert all(each.adjusted == each.p_value for each in against)
    discovered = compare_methods(methods, range(10), correction="benjamini-hochberg")
    assert all(b.adjusted <= h.adjusted for b, h in zip(discovered, pairs, strict=True))


def test_compare_methods_names_bad_settings():
    with pytest.raises(ValueError, match="baseline is 'x'"):
        compare_methods({"a": [1]}, [0], baseline="x")
    with pytest.raises(ValueError, match="correction is 'bh'"):
        compare_methods({"a": [1]}, [0], correction="bh")
    assert compare_methods({"a": [1]}, [0]) == []
