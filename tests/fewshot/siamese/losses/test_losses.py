import math

import pytest
import torch
from torch import tensor

from fewshot.siamese.distances import euclidean_distances
from fewshot.siamese.losses.arcface import ArcFaceLoss, arcface_loss
from fewshot.siamese.losses.circle import CircleLoss
from fewshot.siamese.losses.contrastive import ContrastiveLoss, contrastive_loss
from fewshot.siamese.losses.multi_similarity import MultiSimilarityLoss
from fewshot.siamese.losses.pair_cross_entropy import PairCrossEntropy
from fewshot.siamese.losses.proxy_anchor import ProxyAnchorLoss
from fewshot.siamese.losses.supervised_contrastive import SupervisedContrastiveLoss
from fewshot.siamese.pair_masks import make_pair_masks
from fewshot.siamese.weighted_l1 import WeightedL1
from tests.fewshot.siamese.family import LossFamily

CLASSES = 12


def mean(values):
    values = list(values)
    return sum(values) / len(values) if values else 0.0


def split(labels, a):
    """Places of the positives and of the negatives of an anchor."""
    values = labels.tolist()
    known = [j for j in range(len(values)) if values[j] != -1 and values[a] != -1]
    same = [j for j in known if values[j] == values[a] and j != a]
    return same, [j for j in known if values[j] != values[a]]


def cosine(a, b):
    return (a @ b / (a.norm() * b.norm())).item()


class TestContrastive(LossFamily):
    squared = True

    def make(self):
        return ContrastiveLoss(1.2, squared=self.squared)

    def reference(self, loss, embeddings, labels):
        positive, negative = [], []
        for a in range(len(labels)):
            same, others = split(labels, a)
            positive += [(embeddings[a] - embeddings[p]).norm().item() for p in same]
            negative += [
                max(0.0, 1.2 - (embeddings[a] - embeddings[n]).norm().item()) for n in others
            ]
        change = (lambda d: d * d / 2) if self.squared else (lambda d: d)
        return sum(mean(change(d) for d in kind if d > 0) for kind in (positive, negative))


class TestContrastiveUnsquared(TestContrastive):
    squared = False


class TestPairCrossEntropy(LossFamily):
    def make(self):
        head = WeightedL1(4)
        with torch.no_grad():
            head.weights.copy_(tensor([3.0, -1.0, 2.0, 0.5]))
        return PairCrossEntropy(head)

    def reference(self, loss, embeddings, labels):
        head, positive, negative = loss.head, [], []
        for a in range(len(labels)):
            same, others = split(labels, a)
            for j in same + others:
                gaps = (embeddings[a].sigmoid() - embeddings[j].sigmoid()).abs()
                probability = (head.bias - (head.weights * gaps).sum()).sigmoid().item()
                if j in same:
                    positive.append(-math.log(probability))
                else:
                    negative.append(-math.log(1 - probability))
        return mean([mean(positive), mean(negative)])


class TestMultiSimilarity(LossFamily):
    epsilon = None

    def make(self):
        return MultiSimilarityLoss(self.epsilon, 2.0, 10.0, 0.4)

    def reference(self, loss, embeddings, labels):
        each = []
        for a in range(len(labels)):
            same, others = split(labels, a)
            s = [cosine(embeddings[a], each_) for each_ in embeddings]
            if self.epsilon is not None:
                hard_p = [p for p in same if any(s[p] - self.epsilon < s[n] for n in others)]
                hard_n = [n for n in others if any(s[n] + self.epsilon > s[p] for p in same)]
                same, others = hard_p, hard_n
            pulled = math.log(1 + sum(math.exp(-2.0 * (s[p] - 0.4)) for p in same)) / 2.0
            pushed = math.log(1 + sum(math.exp(10.0 * (s[n] - 0.4)) for n in others)) / 10.0
            each.append(pulled + pushed)
        return mean(each)


class TestMultiSimilarityMined(TestMultiSimilarity):
    epsilon = 0.1


class TestSupervisedContrastive(LossFamily):
    def make(self):
        return SupervisedContrastiveLoss(0.2)

    def reference(self, loss, embeddings, labels):
        each = []
        for a in range(len(labels)):
            same, others = split(labels, a)
            e = [math.exp(cosine(embeddings[a], x) / 0.2) for x in embeddings]
            total = sum(e[j] for j in same + others)
            if same:
                each.append(mean(-math.log(e[p] / total) for p in same))
        return mean(each)


class TestNTXent(LossFamily):
    def make(self):
        return SupervisedContrastiveLoss(0.2, "negatives")

    def reference(self, loss, embeddings, labels):
        each = []
        for a in range(len(labels)):
            same, others = split(labels, a)
            e = [math.exp(cosine(embeddings[a], x) / 0.2) for x in embeddings]
            rest = sum(e[n] for n in others)
            if same:
                each.append(mean(-math.log(e[p] / (e[p] + rest)) for p in same))
        return mean(each)


class TestCircle(LossFamily):
    def make(self):
        return CircleLoss(0.25, 8.0)

    def reference(self, loss, embeddings, labels):
        each = []
        for a in range(len(labels)):
            same, others = split(labels, a)
            s = [cosine(embeddings[a], x) for x in embeddings]
            if same and others:
                n = sum(math.exp(8 * max(0, s[j] + 0.25) * (s[j] - 0.25)) for j in others)
                p = sum(math.exp(-8 * max(0, 1.25 - s[j]) * (s[j] - 0.75)) for j in same)
                each.append(math.log(1 + n * p))
        return mean(each)

    def test_gradcheck(self):
        """The weights of the similarities carry no gradient, so finite differences differ."""
        found = self.value(torch.eye(4).double(), tensor([0, 0, 1, 1]))[1]
        assert (found.diagonal() == 0).all()  # at right angles length has no slope
        assert found[0, 1] < 0 < found[0, 2]


class TestArcFace(LossFamily):
    def make(self):
        return ArcFaceLoss(CLASSES, 4, margin=0.5, scale=4.0)

    def reference(self, loss, embeddings, labels):
        each = []
        for x, label in zip(embeddings, labels.tolist(), strict=True):
            if label == -1:
                continue
            cosines = [cosine(x, centre) for centre in loss.centres]
            angle = math.acos(cosines[label])
            if angle + 0.5 <= math.pi:
                cosines[label] = math.cos(angle + 0.5)
            else:
                cosines[label] -= 0.5 * math.sin(0.5)
            e = [math.exp(4.0 * c) for c in cosines]
            each.append(-math.log(e[label] / sum(e)))
        return mean(each)

    def test_ends_of_the_angles_have_finite_slopes(self):
        for sign in (1.0, -1.0):
            cosines = tensor([[sign, 0.0]], requires_grad=True)
            arcface_loss(cosines, tensor([0])).backward()
            assert cosines.grad.isfinite().all()

    def test_labels_have_to_name_classes(self):
        with pytest.raises(ValueError, match="label 12 names none of 12 classes; expected 0 to 11"):
            self.make()(torch.zeros(1, 4), tensor([12]))


class TestProxyAnchor(LossFamily):
    def make(self):
        return ProxyAnchorLoss(CLASSES, 4, alpha=3.0, delta=0.1)

    def reference(self, loss, embeddings, labels):
        values = labels.tolist()
        pulled, pushed = [], []
        for label, proxy in enumerate(loss.proxies):
            s = [cosine(x, proxy) for x in embeddings]
            own = [j for j, value in enumerate(values) if value == label]
            others = [j for j, value in enumerate(values) if value not in (label, -1)]
            if own:
                pulled.append(math.log(1 + sum(math.exp(-3 * (s[j] - 0.1)) for j in own)))
            pushed.append(math.log(1 + sum(math.exp(3 * (s[j] + 0.1)) for j in others)))
        return mean(pulled) + mean(pushed)


def test_contrastive_by_hand():
    points = tensor([[0.0, 0.0], [0.6, 0.0], [0.0, 0.8]])
    pair_masks = make_pair_masks(tensor([0, 0, 1]))
    distances = euclidean_distances(points, points)
    # Positive 0.6 twice; negatives 0.8 twice and 1.0, which has no loss, twice.
    assert contrastive_loss(distances, pair_masks).item() == pytest.approx(0.18 + 0.02)
    plain = contrastive_loss(distances, pair_masks, squared=False)
    assert plain.item() == pytest.approx(0.6 + 0.2)


@pytest.mark.parametrize(
    "make",
    [
        lambda: contrastive_loss(torch.zeros(1, 1), make_pair_masks(tensor([0])), margin=0.0),
        lambda: SupervisedContrastiveLoss(0.0)(torch.eye(2), tensor([0, 0])),
    ],
)
def test_settings_are_checked(make):
    with pytest.raises(ValueError, match="expected"):
        make()
