"""A frozen decision, same or not: chosen and calibrated on validation pairs, audited on test pairs.

The decision is a small JSON file: a threshold, how it was chosen, and a map from scores to the
probability that both images are of one subject. That probability holds where genuine pairs are as
frequent as among the validation pairs.

Papers: Platt, Probabilistic outputs for support vector machines, 1999; Zadrozny and Elkan,
Transforming classifier scores into accurate multiclass probability estimates, KDD 2002 (isotonic);
Youden, Index for rating diagnostic tests, Cancer 1950.
"""

import math
import re
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from scipy import optimize, special

from episodes.errors import DataError, ModelError
from episodes.io.write import write_json
from fewshot.metrics.calibration import (
    brier_score,
    calibration_counts,
    expected_calibration_error,
)
from fewshot.models.checkpoint import read_settings
from fewshot.siamese.verification.pairs_roc import (
    Estimate,
    Pairs,
    Roc,
    auc,
    draw_counts,
    equal_error_rate,
    estimate,
    strictest,
)

FORMAT = 1
Calibration = Literal["platt", "isotonic"]


@dataclass(frozen=True)
class Decision:
    """Whether two images show one subject.

    Attributes:
        threshold: pairs that score at least this are of one subject.
        rule: how it was chosen: "eer", "youden", or e.g. "far=0.001".
        calibration: "platt" or "isotonic".
        knots, values: of the map from score to probability: intercept and slope of a logistic
            curve in `values` for "platt"; points joined by straight lines for "isotonic".
        genuine, impostor, subjects: how much it was chosen on.
        model: fingerprint of what made the embeddings; "" for none in particular.
        distance: how they were compared.
    """

    threshold: float
    rule: str
    calibration: Calibration
    knots: tuple[float, ...]
    values: tuple[float, ...]
    genuine: int
    impostor: int
    subjects: int
    model: str = ""
    distance: str = "cosine"

    def accept(self, scores: Any) -> np.ndarray:
        """Decide which pairs are of one subject, bool [pair]."""
        return np.asarray(scores, np.float64) >= self.threshold

    def probability(self, scores: Any) -> np.ndarray:
        """Give the probability that a pair is of one subject, float64 [pair]."""
        values = np.asarray(scores, np.float64)
        if self.calibration == "platt":
            intercept, slope = self.values
            return special.expit(intercept + slope * values)
        return np.interp(values, self.knots, self.values)


def choose_threshold(
    pairs: Pairs,
    rule: str = "eer",
    calibration: Calibration = "platt",
    *,
    model: str = "",
    distance: str = "cosine",
) -> Decision:
    """Choose a threshold on validation pairs and calibrate their scores.

    Args:
        pairs: of validation subjects.
        rule: "eer" where FAR and FRR are closest, "youden" where TAR - FAR is largest, or
            "far=RATE" for the lowest threshold with at most this FAR.
        calibration: "platt" fits a logistic curve, "isotonic" the best rising steps; the second
            needs some thousand pairs.
        model, distance: kept with the decision.

    Raises:
        DataError: a kind of pair is missing, or the rule is none of these.
    """
    genuine = pairs.genuine
    if genuine.all() or not genuine.any():
        raise DataError(
            f"{int(genuine.sum())} genuine pairs of {len(genuine)}; expected both kinds. "
            "Add images of one subject, or subjects"
        )
    roc = pairs.roc()
    # Halfway to the next lower score: a rounding error in another machine's embedding must not
    # turn the pair at the threshold around. The lowest and infinity stay.
    place = _place(roc, rule)
    steps = roc.thresholds
    threshold = float(steps[place])
    if 0 < place < len(steps) - 1:
        threshold = float((steps[place] + steps[place + 1]) / 2)
    elif place == 0:
        threshold = float(np.nextafter(steps[1], np.inf))
    knots, values = _platt(pairs) if calibration == "platt" else _isotonic(pairs, calibration)
    return Decision(
        *(threshold, rule, calibration, knots, values),
        genuine=int(genuine.sum()),
        impostor=int((~genuine).sum()),
        subjects=len(np.union1d(pairs.first, pairs.second)),
        model=model,
        distance=distance,
    )


def _place(roc: Roc, rule: str) -> int:
    if rule == "eer":
        return int(np.argmin(np.abs(roc.far - (1 - roc.tar))))
    if rule == "youden":
        return int(np.argmax(roc.tar - roc.far))
    found = re.fullmatch(r"far=([0-9.eE+-]+)", rule)
    try:
        return strictest(roc, float(found[1]) if found else math.nan)
    except ValueError:
        raise DataError(f"rule is {rule!r}; expected eer, youden, or e.g. far=0.001") from None


def _platt(pairs: Pairs) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Fit p = 1 / (1 + exp(-(a + b s))) by maximum likelihood, with Platt's softened targets."""
    genuine = pairs.genuine
    positive, negative = int(genuine.sum()), int((~genuine).sum())
    targets = np.where(genuine, (positive + 1) / (positive + 2), 1 / (negative + 2))
    centre, spread = pairs.scores.mean(), max(float(pairs.scores.std()), 1e-12)
    scaled = (pairs.scores - centre) / spread

    def loss(curve: np.ndarray) -> tuple[float, np.ndarray]:
        logits = curve[0] + curve[1] * scaled
        value = np.logaddexp(0, logits) - targets * logits
        error = special.expit(logits) - targets
        return float(value.mean()), np.array([error.mean(), (error * scaled).mean()])

    start = np.array([math.log((positive + 1) / (negative + 1)), 0.0])
    a, b = optimize.minimize(loss, start, jac=True, method="BFGS", options={"gtol": 1e-9}).x
    return (), (float(a - b * centre / spread), float(b / spread))


def _isotonic(pairs: Pairs, calibration: str) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Fit the rising steps closest to the truth; each step is kept by its two ends."""
    if calibration != "isotonic":
        raise DataError(f"calibration is {calibration!r}; expected 'platt' or 'isotonic'")
    scores, inverse, counts = np.unique(pairs.scores, return_inverse=True, return_counts=True)
    shares = np.bincount(inverse, pairs.genuine) / counts
    fitted = optimize.isotonic_regression(shares, weights=counts).x
    ends = np.ones(len(scores), bool)
    ends[1:-1] = (fitted[1:-1] != fitted[:-2]) | (fitted[1:-1] != fitted[2:])
    return tuple(scores[ends].tolist()), tuple(np.clip(fitted[ends], 0, 1).tolist())


def save_decision(decision: Decision, path: Path | str) -> Path:
    """Write a decision as JSON, whole or not at all."""
    return write_json(Path(path), {"format": FORMAT, **asdict(decision)})


def load_decision(path: Path | str) -> Decision:
    """Read what `save_decision` wrote.

    Raises:
        ModelError: the file is missing, damaged, or holds no decision.
    """
    content = read_settings(Path(path))
    try:
        if content.pop("format") != FORMAT:
            raise ValueError(f"its format is not {FORMAT}")
        for name in ("knots", "values"):
            content[name] = tuple(float(value) for value in content[name])
        decision = Decision(**{**content, "threshold": float(content["threshold"])})
        platt = decision.calibration == "platt"
        whole = len(decision.values) == 2 if platt else len(decision.knots) > 0
        aligned = platt or len(decision.knots) == len(decision.values)
        if decision.calibration not in ("platt", "isotonic") or not (whole and aligned):
            raise ValueError("its calibration is incomplete")
        if not np.isfinite((decision.threshold, *decision.knots, *decision.values)).all():
            raise ValueError("a number is not finite")
    except (KeyError, TypeError, ValueError) as error:
        raise ModelError(f"{path} holds no decision ({error!r}); choose it again") from error
    return decision


@dataclass(frozen=True)
class ThresholdAudit:
    """What a frozen decision does on pairs it was not chosen on, with 95 % intervals.

    Attributes:
        far, tar: realised at the frozen threshold.
        auc, eer: of the scores, whatever the threshold.
        calibration_error: expected gap between probability and frequency, in 15 bins.
        brier: mean squared error of the probability, summed over both answers, 0 to 2.
        genuine, impostor, subjects: how much it was audited on.
    """

    far: Estimate
    tar: Estimate
    auc: Estimate
    eer: Estimate
    calibration_error: float
    brier: float
    genuine: int
    impostor: int
    subjects: int


def audit_threshold(
    decision: Decision, pairs: Pairs, *, resamples: int = 1000, seed: int = 0
) -> ThresholdAudit:
    """Measure a frozen decision on test pairs; nothing is chosen here.

    Args:
        decision: from validation pairs of other subjects.
        pairs: of test subjects.
        resamples: how many times the subjects are drawn.
        seed: of the draws.
    """
    accepted, genuine = decision.accept(pairs.scores), pairs.genuine

    def measure(weights: np.ndarray) -> tuple[float, float, float, float]:
        rates = [_percent(accepted, weights * part) for part in (~genuine, genuine)]
        roc = pairs.roc(weights)
        return rates[0], rates[1], auc(roc), equal_error_rate(roc)

    draws = [
        measure(counts[pairs.first] * np.where(genuine, 1, counts[pairs.second]))
        for counts in draw_counts(pairs, resamples, np.random.default_rng(seed))
    ]
    values = measure(np.ones(len(genuine)))
    table = np.array(draws).reshape(-1, 4)
    far, tar, area, error = (
        estimate(value, table[:, column], 0.95) for column, value in enumerate(values)
    )
    chance = decision.probability(pairs.scores)
    counts = calibration_counts(np.stack([1 - chance, chance]), genuine)
    return ThresholdAudit(
        *(far, tar, area, error),
        calibration_error=expected_calibration_error(counts),
        brier=brier_score(counts),
        genuine=int(genuine.sum()),
        impostor=int((~genuine).sum()),
        subjects=len(np.union1d(pairs.first, pairs.second)),
    )


def _percent(accepted: np.ndarray, weights: np.ndarray) -> float:
    total = weights.sum()
    return float((weights * accepted).sum() / total) if total > 0 else float("nan")
