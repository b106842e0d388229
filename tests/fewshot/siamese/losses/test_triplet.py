import math

import pytest
import torch
from torch import tensor

from fewshot.registry import MINERS
from fewshot.siamese.distances import euclidean_distances
from fewshot.siamese.losses.triplet import (
    AdaptiveMargin,
    TripletLoss,
    soft_triplet_loss,
    weighted_triplet_loss,
)
from fewshot.siamese.mahalanobis import Mahalanobis
from fewshot.siamese.miners.triplets import TripletWeights, triplet_weights
from fewshot.siamese.pair_masks import make_pair_masks
from tests.fewshot.siamese.family import LossFamily
from tests.fewshot.siamese.losses.test_losses import mean, split
from tests.fewshot.siamese.samples import BATCHES, batch, measured, triplets


class TestAll(LossFamily):
    mining = "all"

    def make(self):
        return TripletLoss(self.mining, 0.4)

    def inside(self, p, n):
        return n < p + 0.4

    def reference(self, loss, embeddings, labels):
        d = [[(a - b).norm().item() for b in embeddings] for a in embeddings]
        return mean(
            d[a][p] - d[a][n] + 0.4 for a, p, n in triplets(labels) if self.inside(d[a][p], d[a][n])
        )


class TestHard(TestAll):
    mining = "hard"

    def inside(self, p, n):
        return n <= p


class TestSemiHard(TestAll):
    mining = "semi-hard"

    def inside(self, p, n):
        return p < n < p + 0.4

    @pytest.mark.parametrize("point", [0.5, 0.0])
    def test_identical_embeddings_are_finite(self, point):
        """No negative is farther than a positive, so a collapsed batch has no such triplet."""
        found, slope = self.value(torch.full((8, 4), point).double(), torch.arange(8) // 2)
        assert found == 0
        assert (slope == 0).all()


class TestBatchHard(LossFamily):
    mining, pick, soft = "batch-hard", max, False

    def make(self):
        return TripletLoss(self.mining, "soft" if self.soft else 0.4, fallback="all")

    def reference(self, loss, embeddings, labels):
        each = []
        for a in range(len(labels)):
            same, others = split(labels, a)
            d = [(embeddings[a] - x).norm().item() for x in embeddings]
            if same and others:
                gap = type(self).pick(d[p] for p in same) - min(d[n] for n in others)
                each.append(math.log(1 + math.exp(gap)) if self.soft else max(0, gap + 0.4))
        return mean(value for value in each if value > 0)


class TestEasyPositive(TestBatchHard):
    mining, pick = "easy-positive", min


class TestBatchHardSoft(TestBatchHard):
    soft = True


class TestAllSoft(LossFamily):
    def make(self):
        return TripletLoss("all", "soft", fallback="batch-hard")

    def reference(self, loss, embeddings, labels):
        d = [[(a - b).norm().item() for b in embeddings] for a in embeddings]
        return mean(math.log(1 + math.exp(d[a][p] - d[a][n])) for a, p, n in triplets(labels))


def test_adaptive_margin_by_hand():
    _, _, distances, pair_masks = measured("uneven")
    gap = distances[pair_masks.negatives].mean() - distances[pair_masks.positives].mean()
    assert AdaptiveMargin(0.5, 0.0).of(distances, pair_masks).item() == pytest.approx(
        max(0, gap.item() / 2)
    )
    assert AdaptiveMargin(1.0, 9.0).of(distances, pair_masks) == 9.0
    for labels in ([0, 0], [0, 1], [-1, -1]):
        assert AdaptiveMargin().of(
            torch.rand(2, 2), make_pair_masks(tensor(labels))
        ) == pytest.approx(0.05)
    embeddings, labels, distances, _ = measured("balanced")
    margin = AdaptiveMargin().of(distances, make_pair_masks(labels))
    one, other = (
        TripletLoss("all", m)(embeddings, labels) for m in (AdaptiveMargin(), margin.item())
    )
    assert one["loss"].item() == pytest.approx(other["loss"].item())


@pytest.mark.parametrize("mining", MINERS.names())
def test_a_learned_distance_gives_what_the_plain_one_gives(mining):
    """Batch-hard has a shorter way for the Euclidean distance."""
    embeddings, labels = batch(BATCHES["balanced"])
    plain, learned = TripletLoss(mining), TripletLoss(mining, distance=Mahalanobis(4, 4).double())
    one, other = plain(embeddings, labels), learned(embeddings, labels)
    torch.testing.assert_close(one, other)
    assert sum(p.numel() for p in learned.parameters()) == 16
    assert 0 <= one["active"] <= 1
    if one["loss"] > 0:
        other["loss"].backward()
        assert learned.distance.factor.grad.abs().sum() > 0


@pytest.mark.parametrize("mining", MINERS.names())
def test_a_collapsed_batch_says_so(mining):
    """The loss is the margin and the gradient zero: no optimiser gets out; see the monitor."""
    points = torch.full((12, 8), 0.3, requires_grad=True)
    found = TripletLoss(mining, 0.2)(points, torch.arange(12) // 4)
    found["loss"].backward()
    assert (points.grad == 0).all()
    if mining == "semi-hard":
        assert (found["loss"], found["active"]) == (0, 0)
    elif mining != "angular":  # all angles are 0 there
        assert found["loss"].item() == pytest.approx(0.2)
        assert found["active"].item() == pytest.approx(1.0)


def test_the_share_of_active_triplets_by_hand():
    points = tensor([[0.0], [1.0], [1.1], [9.0]])
    labels = tensor([0, 0, 1, 1])
    # p - n of the four anchors: -0.1, -8; 0.9, -7; 6.8, 7.8; -1.1, -0.1.
    found = TripletLoss("all", 0.2)(points, labels)
    assert found["active"].item() == pytest.approx(5 / 8)
    assert TripletLoss("hard", 0.2)(points, labels)["active"].item() == pytest.approx(3 / 8)
    assert TripletLoss("semi-hard", 0.2)(points, labels)["active"].item() == pytest.approx(2 / 8)
    assert TripletLoss("batch-hard", 0.2)(points, labels)["active"].item() == 1.0


def test_the_fallback_is_saved_with_the_weights():
    loss = TripletLoss("batch-hard", fallback="all")
    assert loss.mining == "batch-hard"
    loss.fall_back()
    other = TripletLoss("batch-hard", fallback="all")
    other.load_state_dict(loss.state_dict())
    assert other.mining == "all"


def test_weights_are_the_gradient_and_the_value_is_exact_in_single_precision():
    embeddings, labels = batch([n // 4 for n in range(256)], dim=32, dtype=torch.float32)
    pair_masks = make_pair_masks(labels)
    single = euclidean_distances(embeddings, embeddings).requires_grad_()
    mined = triplet_weights(single, pair_masks, 0.2)
    loss = weighted_triplet_loss(single, mined, 0.2)
    loss.backward()
    torch.testing.assert_close(single.grad, mined.weights / mined.triplets)
    exact = weighted_triplet_loss(single.detach().double(), mined, 0.2)
    assert loss.item() == pytest.approx(exact.item(), abs=1e-6)


@pytest.mark.parametrize(("labels", "active"), [([0, 0, 1], 1.0), ([0, 1, 2], 0.0)])
def test_all_triplets_of_the_soft_margin_are_active(labels, active):
    loss = TripletLoss("all", "soft")
    embeddings = torch.eye(3)
    found = loss.compare(embeddings, embeddings, make_pair_masks(tensor(labels)))
    assert found["active"].item() == active


def test_soft_margin_of_many_positives():
    _, labels, distances, pair_masks = measured("two classes")
    d = distances.tolist()
    expected = mean(math.log(1 + math.exp(d[a][p] - d[a][n])) for a, p, n in triplets(labels))
    assert soft_triplet_loss(distances, pair_masks).item() == pytest.approx(expected)


@pytest.mark.parametrize(
    "arguments", [("all", 0.0), ("semi-hard", "soft"), ("all", "soft", "hard")]
)
def test_settings_are_checked(arguments):
    with pytest.raises(ValueError, match=r"expected|take"):
        TripletLoss(*arguments)


def test_the_mean_over_a_part_of_a_triplet():
    """Shares of negatives may sum to less than one triplet: its loss is the same."""
    distances = torch.tensor([[0.5, 0.9]], requires_grad=True)
    mined = TripletWeights(torch.tensor([[0.25, -0.25]]), torch.tensor(0.25))
    loss = weighted_triplet_loss(distances, mined, 0.6)
    assert loss.item() == pytest.approx(0.5 - 0.9 + 0.6)
    loss.backward()
    torch.testing.assert_close(distances.grad, torch.tensor([[1.0, -1.0]]))
