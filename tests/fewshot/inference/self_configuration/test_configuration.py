"""Weights follow the evidence; the evidence is measured on the annotation alone."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from fewshot.inference.inputs import ImageStack
from fewshot.inference.self_configuration.candidates import CANDIDATES
from fewshot.inference.self_configuration.configuration import (
    ON_COPIES,
    ON_PARTS,
    PRIORS,
    by_hand,
    configure,
)
from fewshot.inference.self_configuration.evidence import (
    changed_copies,
    dice,
    disjoint_parts,
    scores,
)
from fewshot.inference.self_configuration.views import Shot, View
from tests.fewshot.inference.self_configuration.test_candidates import shot_of

NAN = math.nan


def test_weights_by_hand():
    names = ("neighbours-256", "place")
    chosen = configure({names[0]: 0.8, names[1]: 0.4}, {names[0]: 0.5, names[1]: NAN})
    raised = PRIORS[names[0]] + 0.2 * ON_COPIES
    assert chosen.weights[names[0]] == pytest.approx(math.log1p(math.exp(raised)))
    lowered = PRIORS[names[1]] - 0.2 * ON_COPIES
    assert chosen.weights[names[1]] == pytest.approx(math.log1p(math.exp(lowered)))
    assert chosen.record()["on_parts"] == {names[0]: 0.5, names[1]: None}
    assert "neighbours-256" in chosen.describe()


def test_evidence_on_parts_moves_weights_and_a_hopeless_candidate_is_left_out():
    even = dict.fromkeys(PRIORS, 0.5)
    before = configure(even, dict.fromkeys(PRIORS, NAN)).weights
    assert set(before) == set(PRIORS)
    after = configure(even, {**even, "perceptron": 0.9}).weights
    assert after["perceptron"] > before["perceptron"]
    assert after["place"] < before["place"]
    assert ON_PARTS > 0
    assert "place" not in configure({**even, "place": 0.0}, {**even, "place": 0.0}).weights


def test_by_hand_is_told():
    chosen = by_hand(("place", "perceptron"))
    assert chosen.weights == {"place": 0.5, "perceptron": 0.5}
    assert chosen.describe() == "methods, not chosen on the annotated images: place, perceptron"


def test_copies_keep_labels_on_their_structures_and_differ():
    shot = shot_of(0, (0, 1, 0))
    first, second = changed_copies([shot])
    again = next(changed_copies([shot]))
    assert torch.equal(first.view.image, again.view.image)
    assert not torch.equal(first.view.image, second.view.image)
    for copy in (first, second):
        inside = copy.view.image[0][copy.labels == 1].mean()
        assert inside > copy.view.image[0][copy.labels == 0].mean() + 0.2


def test_parts_of_one_image_are_halves_and_of_several_one_is_left_out():
    shot = shot_of(0, (0, 0, 1))  # a bar from left to right
    ((known,), left_out) = next(disjoint_parts([shot], 1))
    assert ((known.labels == 255) != (left_out.labels == 255)).all()
    corner = torch.zeros_like(shot.labels)
    corner[:20, :20] = 1
    assert list(disjoint_parts([replace(shot, labels=corner)], 1)) == []
    several = [shot_of(seed) for seed in range(3)]
    assert list(disjoint_parts(several, 2)) == [((several[1], several[2]), several[0])]


def test_dice_by_hand_is_over_classes_that_are_shown():
    class Given:
        def log_odds(self, view):
            return torch.tensor([[[5.0, -5.0, -5.0, 5.0]], [[-5.0, -5.0, -5.0, -5.0]]])

    view = View(ImageStack(np.zeros((1, 1, 4), np.uint8), "x"))
    shown = Shot(view, torch.tensor([[1, 1, 0, 255]], dtype=torch.uint8))
    assert dice(Given(), shown, 2) == pytest.approx(2 / 3)
    assert math.isnan(dice(Given(), replace(shown, labels=torch.zeros_like(shown.labels)), 2))


def test_scores_are_of_every_candidate():
    shots = [shot_of(0), shot_of(1)]
    tried = {name: CANDIDATES[name] for name in ("neighbours-256", "place")}
    fitted = {name: candidate.fit(shots, 2) for name, candidate in tried.items()}
    on_copies, on_parts = scores(tried, fitted, shots, 2)
    assert set(on_copies) == set(on_parts) == set(tried)
    assert on_copies["neighbours-256"] > on_copies["place"]
    assert np.isfinite(list(on_parts.values())).all()
