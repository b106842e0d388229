"""Values and gradients agree with pytorch-metric-learning where it means the same."""

import pytest
import torch
from torch.nn import functional

from fewshot.siamese.losses.circle import CircleLoss
from fewshot.siamese.losses.contrastive import ContrastiveLoss
from fewshot.siamese.losses.multi_similarity import MultiSimilarityLoss
from fewshot.siamese.losses.proxy_anchor import ProxyAnchorLoss
from fewshot.siamese.losses.supervised_contrastive import SupervisedContrastiveLoss
from fewshot.siamese.losses.triplet import TripletLoss

pytest.importorskip("pytorch_metric_learning", reason="extra bench is not installed")

from pytorch_metric_learning import losses, miners
from pytorch_metric_learning.distances import LpDistance
from pytorch_metric_learning.reducers import MeanReducer

MARGIN = 0.3
PLAIN = LpDistance(normalize_embeddings=False)


def mined(miner):
    loss = losses.TripletMarginLoss(MARGIN, distance=PLAIN)
    return lambda embeddings, labels: loss(embeddings, labels, miner(embeddings, labels))


def band(kind):
    return mined(miners.TripletMarginMiner(MARGIN, kind, distance=PLAIN))


def proxy_anchor():
    ours, theirs = ProxyAnchorLoss(6, 16), losses.ProxyAnchorLoss(6, 16, margin=0.1, alpha=32)
    with torch.no_grad():
        theirs.proxies.copy_(ours.proxies)
    return ours, theirs


def multi_similarity():
    loss, miner = losses.MultiSimilarityLoss(2, 50, 0.5), miners.MultiSimilarityMiner(0.1)
    return lambda embeddings, labels: loss(embeddings, labels, miner(embeddings, labels))


PAIRS = {
    "batch-hard": lambda: (
        TripletLoss("batch-hard", MARGIN),
        mined(miners.BatchHardMiner(distance=PLAIN)),
    ),
    "all": lambda: (TripletLoss("all", MARGIN), band("all")),
    "hard": lambda: (TripletLoss("hard", MARGIN), band("hard")),
    "semi-hard": lambda: (TripletLoss("semi-hard", MARGIN), band("semihard")),
    "angular": lambda: (
        TripletLoss("angular", 5.0),
        lambda e, y: losses.TripletMarginLoss(5.0, distance=PLAIN)(
            e, y, miners.AngularMiner(20, distance=LpDistance())(e, y)
        ),
    ),
    "contrastive": lambda: (
        ContrastiveLoss(1.0, squared=False),
        losses.ContrastiveLoss(0, 1, distance=PLAIN),
    ),
    "multi-similarity": lambda: (MultiSimilarityLoss(), multi_similarity()),
    "supervised contrastive": lambda: (
        SupervisedContrastiveLoss(0.1),
        losses.SupConLoss(0.1, reducer=MeanReducer()),
    ),
    "circle": lambda: (CircleLoss(0.4, 80), losses.CircleLoss(0.4, 80)),
    "proxy anchor": proxy_anchor,
}


@pytest.mark.parametrize("name", list(PAIRS))
def test_same_value_and_gradient(name):
    ours, theirs = PAIRS[name]()
    generator = torch.Generator().manual_seed(1)
    labels = torch.arange(24) // 4
    points = functional.normalize(torch.randn(24, 16, generator=generator), dim=1)
    found = []
    for loss in (lambda e, y: ours(e, y)["loss"], theirs):
        embeddings = points.clone().requires_grad_()
        value = loss(embeddings, labels)
        value.backward()
        found.append((value.detach(), embeddings.grad))
    assert found[0][0] > 0.01
    torch.testing.assert_close(*found, rtol=1e-4, atol=1e-5)
