"""Verification scores against loops over pairs and scikit-learn; frozen decisions, audits."""

import itertools
import json
import math

import numpy as np
import pytest
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import brier_score_loss, roc_auc_score, roc_curve

from episodes.errors import DataError, ModelError
from fewshot.metrics.ranking import roc_auc
from fewshot.siamese.verification.identification import (
    Probes,
    bootstrap_identification,
    identification_rate,
)
from fewshot.siamese.verification.pairs_roc import (
    Pairs,
    auc,
    bootstrap_pairs,
    equal_error_rate,
    tar_at_far,
)
from fewshot.siamese.verification.threshold import (
    audit_threshold,
    choose_threshold,
    load_decision,
    save_decision,
)


def draw(seed, subjects=12, images=3, shift=1.0, decimals=2):
    """All pairs of images; scores of few decimals, so that some tie."""
    generator = np.random.default_rng(seed)
    names = np.repeat(np.arange(subjects), images)
    pairs = np.array(list(itertools.combinations(range(len(names)), 2)))
    first, second = names[pairs[:, 0]], names[pairs[:, 1]]
    scores = generator.normal(size=len(pairs)) + shift * (first == second)
    return Pairs.of(scores.round(decimals), first, second)


@pytest.mark.parametrize("seed", range(3))
def test_curve_and_area_are_those_of_scikit_learn(seed):
    pairs = draw(seed, decimals=1)
    weights = np.random.default_rng(seed).integers(0, 4, len(pairs.scores)).astype(float)
    for weight in (None, weights):
        roc = pairs.roc(weight)
        far, tar, thresholds = roc_curve(
            pairs.genuine, pairs.scores, sample_weight=weight, drop_intermediate=False
        )
        kept = np.isin(roc.thresholds, thresholds)
        np.testing.assert_allclose(roc.far[kept], far)
        np.testing.assert_allclose(roc.tar[kept], tar)
        expected = roc_auc_score(pairs.genuine, pairs.scores, sample_weight=weight)
        assert auc(roc) == pytest.approx(expected)
    assert auc(pairs.roc()) == pytest.approx(roc_auc(pairs.scores, pairs.genuine.astype(int)))


def test_hand_values():
    """Genuine 0.9 0.7 0.3, impostor 0.8 0.4 0.2 0.1."""
    pairs = Pairs.of([0.9, 0.7, 0.3, 0.8, 0.4, 0.2, 0.1], [1] * 3 + [1, 2, 3, 4], [1] * 3 + [5] * 4)
    roc = pairs.roc()
    assert auc(roc) == pytest.approx((4 + 3 + 2) / 12)
    assert tar_at_far(roc, 0.0) == pytest.approx(1 / 3)
    assert tar_at_far(roc, 0.24) == pytest.approx(1 / 3)
    assert tar_at_far(roc, 0.25) == pytest.approx(2 / 3)
    assert tar_at_far(roc, 1.0) == 1
    # At 0.7 FAR is 1/4 and FRR 1/3, at 0.4 they are 1/2 and 1/3: equal at FAR 1/3.
    assert equal_error_rate(roc) == pytest.approx(1 / 3)


def test_a_perfect_a_reversed_and_a_constant_score():
    genuine, impostor = ([1, 1], [1, 1]), ([1, 2], [3, 4])
    first, second = genuine[0] + impostor[0], genuine[1] + impostor[1]
    perfect = Pairs.of([1, 1, 0, 0], first, second).roc()
    assert (auc(perfect), equal_error_rate(perfect), tar_at_far(perfect, 0)) == (1, 0, 1)
    reverse = Pairs.of([0, 0, 1, 1], first, second).roc()
    assert (auc(reverse), equal_error_rate(reverse), tar_at_far(reverse, 0)) == (0, 1, 0)
    constant = Pairs.of([5, 5, 5, 5], first, second).roc()
    assert (auc(constant), equal_error_rate(constant), tar_at_far(constant, 0.5)) == (0.5, 0.5, 0)


def test_without_one_kind_of_pair_nothing_is_defined():
    for pairs in (Pairs.of([1.0], [1], [1]), Pairs.of([1.0], [1], [2]), Pairs.of([], [], [])):
        roc = pairs.roc()
        assert math.isnan(auc(roc))
        assert math.isnan(equal_error_rate(roc))
    found = bootstrap_pairs(Pairs.of([1.0], [1], [1]), auc)
    assert math.isnan(found.value)
    assert math.isnan(found.low)


def test_the_bootstrap_repeats_subjects_as_if_they_were_copied():
    """Weights of the counts equal a list in which every copy of a subject is a subject."""
    pairs = draw(5, subjects=4, images=3)
    counts = np.array([2, 0, 1, 3])
    weights = counts[pairs.first] * np.where(pairs.genuine, 1, counts[pairs.second])
    scores, first, second = [], [], []
    for score, one, other in zip(pairs.scores, pairs.first, pairs.second, strict=True):
        ones = [f"{one} {copy}" for copy in range(counts[one])]
        others = [f"{other} {copy}" for copy in range(counts[other])]
        both = zip(ones, ones, strict=True) if one == other else itertools.product(ones, others)
        for a, b in both:
            scores.append(score)
            first.append(a)
            second.append(b)
    copied = Pairs.of(scores, first, second)
    assert auc(pairs.roc(weights.astype(float))) == pytest.approx(auc(copied.roc()))


def test_intervals_cover_what_another_sample_shows():
    """Subjects differ in how alike their images look, which an interval over pairs would miss."""
    generator = np.random.default_rng(0)
    hits, widths = 0, []
    for _ in range(20):
        names = np.repeat(np.arange(15), 4)
        looks = np.repeat(generator.normal(size=15), 4)
        index = np.array(list(itertools.combinations(range(60), 2)))
        first, second = names[index[:, 0]], names[index[:, 1]]
        scores = looks[index[:, 0]] + generator.normal(size=len(index)) * 0.3
        found = bootstrap_pairs(Pairs.of(scores, first, second), auc, resamples=100, seed=1)
        hits += found.low <= 0.5 <= found.high  # the looks say nothing of the pair
        widths.append(found.high - found.low)
    assert hits >= 16
    again = bootstrap_pairs(Pairs.of(scores, first, second), auc, resamples=100, seed=1)
    assert again == found
    assert min(widths) > 0.02


def slow_identification(scores, probes, gallery, far, rank):
    subjects = sorted(set(gallery))
    best = [
        {s: max(v for v, g in zip(row, gallery, strict=True) if g == s) for s in subjects}
        for row in scores
    ]
    known = [(b, p) for b, p in zip(best, probes, strict=True) if p in subjects]
    strangers = [max(b.values()) for b, p in zip(best, probes, strict=True) if p not in subjects]
    candidates = sorted({-math.inf, *strangers, *(v for b in best for v in b.values())})
    for threshold in candidates:
        if sum(s > threshold for s in strangers) <= far * len(strangers):
            break
    right = [b[p] > threshold and sum(v >= b[p] for v in b.values()) <= rank for b, p in known]
    return sum(right) / len(right)


@pytest.mark.parametrize("rank", [1, 2])
@pytest.mark.parametrize("far", [0, 0.1, 0.3, 1.0])
def test_identification_equals_a_slow_loop(far, rank):
    generator = np.random.default_rng(7)
    gallery = [0, 0, 1, 2, 2, 2, 3]
    probes = generator.integers(0, 6, 40).tolist()
    truth = np.equal.outer(probes, gallery)
    scores = (generator.normal(size=(40, 7)) + 1.5 * truth).round(1)
    expected = slow_identification(scores, probes, gallery, far, rank)
    found = Probes.of(scores, probes, gallery)
    assert identification_rate(found, far, rank=rank) == pytest.approx(expected)
    weights = generator.integers(0, 3, 40)
    copies = [number for number in range(40) for _ in range(weights[number])]
    copied = slow_identification(
        scores[copies], [probes[number] for number in copies], gallery, far, rank
    )
    weighted = identification_rate(found, far, rank=rank, weights=weights.astype(float))
    assert weighted == pytest.approx(copied)
    interval = bootstrap_identification(found, far, rank=rank, resamples=50)
    assert interval.low <= interval.value <= interval.high


def test_identification_needs_strangers_and_members():
    known, stranger = Probes.of([[0.5]], ["a"], ["a"]), Probes.of([[0.5]], ["b"], ["a"])
    assert math.isnan(identification_rate(known, far=0.1))
    assert identification_rate(known, far=1) == 1
    assert math.isnan(identification_rate(stranger, far=0.1))
    assert math.isnan(bootstrap_identification(known, far=1).low)
    with pytest.raises(DataError, match="expected 0 to 1"):
        identification_rate(stranger, far=2)
    with pytest.raises(DataError, match="level is 1"):
        bootstrap_identification(stranger, far=0, level=1)
    with pytest.raises(DataError, match=r"shape \(1, 1\)"):
        Probes.of([[0.5]], ["b"], ["a", "c"])
    with pytest.raises(DataError, match="1 scores are NaN"):
        Probes.of([[math.nan]], ["b"], ["a"])


@pytest.mark.parametrize("rule", ["eer", "youden", "far=0.1", "far=0"])
def test_the_threshold_does_on_validation_what_the_rule_says(rule):
    pairs = draw(2)
    decision = choose_threshold(pairs, rule)
    accepted = decision.accept(pairs.scores)
    far, tar = accepted[~pairs.genuine].mean(), accepted[pairs.genuine].mean()
    roc = pairs.roc()
    if rule == "eer":
        assert abs(far - (1 - tar)) == pytest.approx(np.abs(roc.far - (1 - roc.tar)).min())
    elif rule == "youden":
        assert tar - far == pytest.approx((roc.tar - roc.far).max())
    else:
        target = float(rule[4:])
        assert far <= target
        assert tar == tar_at_far(roc, target)


def test_platt_is_a_logistic_regression():
    pairs = draw(4, subjects=20)
    genuine = pairs.genuine
    positive, negative = genuine.sum(), (~genuine).sum()
    target = np.where(genuine, (positive + 1) / (positive + 2), 1 / (negative + 2))
    column = pairs.scores[:, None]
    model = LogisticRegression(C=np.inf, tol=1e-10)
    model.fit(
        np.concatenate([column, column]),
        np.repeat([1, 0], len(target)),
        sample_weight=np.concatenate([target, 1 - target]),
    )
    expected = model.predict_proba(column)[:, 1]
    np.testing.assert_allclose(
        choose_threshold(pairs).probability(pairs.scores), expected, atol=1e-5
    )


def test_isotonic_is_that_of_scikit_learn():
    pairs = draw(4, decimals=1)
    model = IsotonicRegression(out_of_bounds="clip")
    model.fit(pairs.scores, pairs.genuine)
    grid = np.linspace(-4, 4, 201)
    found = choose_threshold(pairs, calibration="isotonic").probability(grid)
    np.testing.assert_allclose(found, model.predict(grid), atol=1e-9)


def test_scores_that_are_all_alike_have_the_share_of_genuine_pairs():
    pairs = Pairs.of(np.full(8, 0.5), np.zeros(8, int), np.repeat([0, 1], [2, 6]))
    targets = [3 / 4] * 2 + [1 / 8] * 6  # Platt's, which are never 0 or 1
    for calibration, share in (("platt", np.mean(targets)), ("isotonic", 2 / 8)):
        found = choose_threshold(pairs, calibration=calibration).probability(np.array([0.5]))
        assert found == pytest.approx([share], abs=1e-6)


@pytest.mark.parametrize("calibration", ["platt", "isotonic"])
def test_a_decision_is_saved_and_frozen(tmp_path, calibration):
    decision = choose_threshold(draw(1), "far=0.05", calibration, model="abc")
    path = save_decision(decision, tmp_path / "decision.json")
    again = load_decision(path)
    assert again == decision
    scores = np.linspace(-3, 3, 50)
    np.testing.assert_array_equal(again.probability(scores), decision.probability(scores))
    chances = again.probability(scores)
    assert (np.diff(chances) >= 0).all()
    content = json.loads(path.read_text())
    for change in (
        {"format": 2},
        {"threshold": "high"},
        {"calibration": "beta"},
        {"values": []},
        {"extra": 1},
        {"knots": None},
    ):
        path.write_text(json.dumps({**content, **change}))
        with pytest.raises(ModelError, match="holds no decision"):
            load_decision(path)


def test_the_audit_reports_what_test_pairs_show():
    decision = choose_threshold(draw(1), "far=0.05")
    test = draw(2)
    found = audit_threshold(decision, test, resamples=50)
    accepted = decision.accept(test.scores)
    assert found.far.value == accepted[~test.genuine].mean()
    assert found.tar.value == accepted[test.genuine].mean()
    assert found.far.low <= found.far.value <= found.far.high
    assert found.auc == bootstrap_pairs(test, auc, resamples=50)
    chances = decision.probability(test.scores)
    assert found.brier == pytest.approx(2 * brier_score_loss(test.genuine, chances))
    assert (found.genuine, found.impostor, found.subjects) == (36, 594, 12)


def test_bad_input_is_told():
    with pytest.raises(DataError, match="1 scores are NaN"):
        Pairs.of([math.nan], [1], [2])
    with pytest.raises(DataError, match="expected one score and two subjects a pair"):
        Pairs.of([1.0, 2.0], [1], [2])
    with pytest.raises(DataError, match="0 genuine pairs of 1"):
        choose_threshold(Pairs.of([1.0], [1], [2]))
    for rule in ("fpr=0.1", "far=x", "far=2", "best"):
        with pytest.raises(DataError, match="expected eer, youden"):
            choose_threshold(draw(0), rule)
    with pytest.raises(DataError, match="calibration is 'beta'"):
        choose_threshold(draw(0), calibration="beta")
    with pytest.raises(DataError, match="far is -1"):
        tar_at_far(draw(0).roc(), -1)
    with pytest.raises(DataError, match="level is 2"):
        bootstrap_pairs(draw(0), auc, level=2)


def test_printing_pairs_does_not_print_millions_of_numbers():
    assert repr(Pairs.of([0.5], [1], [2])) == "Pairs()"
