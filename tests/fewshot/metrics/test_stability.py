"""Oracles: SciPy's Kendall tau, and the power of simulated studies."""

import math

import numpy as np
import pytest
from scipy import stats

from fewshot.metrics.stability import _kendall, ranking_stability, sample_size


def test_noise_makes_a_ranking_unstable_and_a_gap_makes_it_stable():
    generator = np.random.default_rng(0)
    base = generator.normal(size=20)
    apart = {name: base + 0.5 * index for index, name in enumerate("abc")}
    close = {name: generator.normal(size=20) for name in "abc"}
    stable, unstable = (ranking_stability(each, range(20)) for each in (apart, close))
    assert stable.methods == ["c", "b", "a"]
    np.testing.assert_array_equal(stable.frequencies, np.eye(3))
    assert stable.kendall == 1
    assert unstable.kendall < 0.9
    assert unstable.frequencies.diagonal().max() < 1
    np.testing.assert_allclose(unstable.frequencies.sum(axis=0), 1)
    np.testing.assert_allclose(unstable.frequencies.sum(axis=1), 1)


def test_smaller_can_be_better():
    result = ranking_stability({"near": [1, 2], "far": [5, 6]}, "ab", higher_is_better=False)
    assert result.methods == ["near", "far"]
    np.testing.assert_array_equal(result.means, [1.5, 5.5])
    np.testing.assert_array_equal(result.frequencies, np.eye(2))


def test_ties_share_their_ranks():
    result = ranking_stability({"a": [1, 2, 3], "b": [1, 2, 3], "c": [0, 0, 0]}, "xyz")
    np.testing.assert_array_equal(result.frequencies, [[0.5, 0.5, 0], [0.5, 0.5, 0], [0, 0, 1]])


def test_only_complete_cases_count():
    nan = math.nan
    result = ranking_stability({"a": [1, 9, nan], "b": [0, nan, 9]}, "xyz")
    assert result.methods == ["a", "b"]
    assert result.subjects == 1
    empty = ranking_stability({"a": [nan], "b": [1]}, "x")
    assert empty.subjects == 0
    assert np.isnan(empty.frequencies).all()
    assert ranking_stability({"a": [1, 2]}, "xy").kendall == 1
    with pytest.raises(ValueError, match="at least one method"):
        ranking_stability({}, [])


def test_kendall_is_scipys():
    generator = np.random.default_rng(0)
    whole, draws = generator.normal(size=6), generator.integers(0, 4, (6, 20)).astype(float)
    expected = [stats.kendalltau(whole, column).statistic for column in draws.T]
    np.testing.assert_allclose(_kendall(whole, draws), expected)


@pytest.mark.parametrize("effect", [1.0, 0.5, -0.5])
def test_the_sample_size_gives_the_power_that_it_promises(effect):
    count = sample_size(effect, 1.0, power=0.8)
    studies = np.random.default_rng(0).normal(effect, 1, (4000, count))
    power = (stats.ttest_1samp(studies, 0, axis=1).pvalue < 0.05).mean()
    assert 0.77 < power < 0.86


def test_sample_size_grows_with_noise_and_demands():
    base = sample_size(2, 5)
    assert sample_size(1, 5) > base
    assert sample_size(2, 6) > base
    assert sample_size(2, 5, power=0.9) > base
    assert sample_size(2, 5, level=0.99) > base
    assert sample_size(2, 0) == 2
    for arguments in ((0, 1), (math.nan, 1), (1, -1), (1, math.inf)):
        with pytest.raises(ValueError, match="expected a finite"):
            sample_size(*arguments)
    with pytest.raises(ValueError, match="both between 0 and 1"):
        sample_size(1, 1, power=80)
