"""Oracle: scipy.stats.bootstrap."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from fewshot.metrics.bootstrap import bootstrap_mean, subject_means

METHODS = {"bca": "BCa", "percentile": "percentile"}


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("seed", range(4))
def test_agrees_with_scipy_within_the_noise_of_resampling(method, seed):
    values = np.random.default_rng(seed).lognormal(size=25)
    ours = bootstrap_mean(values, range(25), method=method, resamples=40_000)
    theirs = stats.bootstrap(
        [values], np.mean, n_resamples=40_000, method=METHODS[method], rng=np.random.default_rng(9)
    )
    width = ours.high - ours.low
    expected = theirs.confidence_interval
    assert ours.low == pytest.approx(expected.low, abs=0.03 * width)
    assert ours.high == pytest.approx(expected.high, abs=0.03 * width)
    assert ours.mean == values.mean()


def test_bca_equals_scipy_on_the_same_draws():
    # scipy draws integers(0, n, (resamples, n)) from the same generator
    values = np.random.default_rng(1).gamma(2, size=12)
    ours = bootstrap_mean(values, range(12), resamples=2000, seed=np.random.default_rng(3))
    theirs = stats.bootstrap(
        [values], np.mean, n_resamples=2000, method="BCa", rng=np.random.default_rng(3)
    )
    np.testing.assert_allclose([ours.low, ours.high], theirs.confidence_interval, rtol=1e-12)


@pytest.mark.parametrize("method", METHODS)
def test_interval_covers_the_truth_about_as_often_as_it_says(method):
    generator = np.random.default_rng(0)
    covered = 0
    for _ in range(300):
        interval = bootstrap_mean(
            generator.exponential(size=30), range(30), method=method, level=0.9, resamples=500
        )
        covered += interval.low <= 1 <= interval.high
    assert 0.8 < covered / 300 < 0.95


def test_slices_of_one_patient_are_one_subject():
    patients = np.random.default_rng(0).normal(size=10)
    slices = np.repeat(patients, 40)
    names = [f"patient {index // 40}" for index in range(400)]
    by_subject = bootstrap_mean(slices, names)
    assert by_subject == bootstrap_mean(patients, range(10))
    by_slice = bootstrap_mean(slices, range(400))
    assert by_slice.mean == pytest.approx(by_subject.mean)
    assert (by_slice.high - by_slice.low) < 0.3 * (by_subject.high - by_subject.low)


def test_unequal_subjects_weigh_alike():
    interval = bootstrap_mean([0.0, 1.0, 1.0, 1.0], ["a", "b", "b", "b"])
    assert interval.mean == 0.5


def test_defined_for_few_constant_and_undefined_values():
    nan = math.nan
    nothing = bootstrap_mean([], [])
    assert math.isnan(nothing.mean)
    assert nothing[3:] == (0, 0)
    only_undefined = bootstrap_mean([nan, nan], ["a", "b"])
    assert math.isnan(only_undefined.mean)
    assert only_undefined[3:] == (0, 2)
    one = bootstrap_mean([0.5, 0.7, nan], ["a", "a", "b"])
    assert one.mean == pytest.approx(0.6)
    assert math.isnan(one.low)
    assert math.isnan(one.high)
    assert one[3:] == (1, 1)
    assert bootstrap_mean([0.1] * 7, range(7)) == (0.1, 0.1, 0.1, 7, 0)
    np.testing.assert_array_equal(bootstrap_mean([1.0, 2.0], range(2), resamples=1)[3:], (2, 0))


def test_the_unit_cancels_even_where_cubes_underflow():
    values = np.random.default_rng(0).lognormal(size=9)
    plain, tiny = (bootstrap_mean(values * unit, range(9)) for unit in (1.0, 2.0**-600))
    np.testing.assert_allclose(np.array(tiny[:3]) * 2.0**600, plain[:3], rtol=1e-12)


def test_seed_settings_and_tensors():
    values = np.random.default_rng(0).normal(size=20)
    assert bootstrap_mean(values, range(20)) == bootstrap_mean(torch.from_numpy(values), range(20))
    assert bootstrap_mean(values, range(20), seed=1) != bootstrap_mean(values, range(20), seed=2)
    wide, narrow = (bootstrap_mean(values, range(20), level=each) for each in (0.99, 0.5))
    assert wide.low < narrow.low < narrow.mean < narrow.high < wide.high


def test_bad_input_is_named():
    with pytest.raises(ValueError, match=r"1 values are infinite.*penalise"):
        bootstrap_mean([math.inf, 1], [0, 1])
    with pytest.raises(ValueError, match="there are 1 subjects"):
        bootstrap_mean([1, 2], [0])
    for level in (95, 1, 0):
        with pytest.raises(ValueError, match=f"level is {level}"):
            bootstrap_mean([1, 2], [0, 1], level=level)
    with pytest.raises(ValueError, match="method is 'BCa'"):
        bootstrap_mean([1, 2], [0, 1], method="BCa")
    with pytest.raises(ValueError, match="resamples is 0"):
        bootstrap_mean([1, 2], [0, 1], resamples=0)


numbers = st.floats(-100, 100)


@settings(max_examples=60)
@given(st.lists(numbers, min_size=2, max_size=12), st.sampled_from(list(METHODS)))
def test_bounds_lie_within_the_data(values, method):
    interval = bootstrap_mean(values, range(len(values)), method=method, resamples=200)
    slack = 1e-9 * (1 + max(map(abs, values)))
    assert min(values) - slack <= interval.low <= interval.high <= max(values) + slack


@given(st.lists(st.tuples(numbers | st.just(math.nan), st.sampled_from("abc")), max_size=20))
def test_subject_means_are_the_loop(rows):
    values, names = [row[0] for row in rows], [row[1] for row in rows]
    found, undefined = subject_means(values, names)
    expected = []
    for name in dict.fromkeys(n for v, n in rows if not math.isnan(v)):
        own = [v for v, n in rows if n == name and not math.isnan(v)]
        expected.append(sum(own) / len(own))
    np.testing.assert_allclose(found, expected, atol=1e-12)
    assert undefined == sum(map(math.isnan, values))
