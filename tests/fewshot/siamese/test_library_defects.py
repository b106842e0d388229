"""Defects of known libraries, each shown beside ours, which does not have it.

Shown elsewhere, since the library is not here or needs a network: gradients that are 1.6 times too
large across processes and uneven last batches (`test_processes`), single-image subjects
(`tests/episodes/sampling/test_pairs.py`), a collapse without a word
(`tests/fewshot/training/test_collapse` and, the loss, `test_triplet`).
"""

import pytest
import torch
from torch.nn import functional

from episodes.sampling.pairs import PairSampler, PairSettings
from fewshot.siamese.cross_batch_memory import CrossBatchMemory
from fewshot.siamese.distances import euclidean_distances
from fewshot.siamese.distributed import Embedded
from fewshot.siamese.retrieval.relevance import SameLabel
from fewshot.siamese.retrieval.retrieval_metrics import retrieve
from tests.episodes.sampling.test_pairs import UNEVEN

pytest.importorskip("pytorch_metric_learning", reason="extra bench is not installed")

from pytorch_metric_learning import losses, samplers
from pytorch_metric_learning.utils.accuracy_calculator import AccuracyCalculator


def unit(count, dim, seed=0):
    points = torch.randn(count, dim, generator=torch.Generator().manual_seed(seed))
    return functional.normalize(points, dim=1)


def test_the_norm_of_nothing_has_no_gradient():
    points = torch.zeros(2, 3, requires_grad=True)
    (points[0] - points[1]).square().sum().sqrt().backward()
    assert points.grad.isnan().all()
    ours = torch.zeros(2, 3, requires_grad=True)
    euclidean_distances(ours, ours).sum().backward()
    assert (ours.grad == 0).all()


def test_a_vector_is_not_at_a_distance_of_itself():
    points = unit(64, 128)
    assert torch.cdist(points, points).diagonal().max() > 1e-4
    assert (euclidean_distances(points, points).diagonal() == 0).all()


def test_ids_above_two_to_the_24_are_apart():
    """Three classes in a row whose ids float32 cannot tell from one another."""
    points, labels = unit(300, 2), 2**24 + torch.arange(300) % 3
    calculator = AccuracyCalculator(include=("precision_at_1",), device=torch.device("cpu"))
    merged = calculator.get_accuracy(points, labels)["precision_at_1"]
    true = calculator.get_accuracy(points, labels - 2**24)["precision_at_1"]
    assert merged > true + 0.2
    ours = retrieve(points, SameLabel(labels, labels), at=(1,), distance="euclidean")
    assert ours.mean("precision@1") == pytest.approx(true)


def test_the_memory_is_in_the_saved_state():
    points, labels = unit(4, 8), torch.tensor([2**40, 2**40 + 1, 2**40, 2**40 + 1])
    peer = losses.CrossBatchMemory(losses.ContrastiveLoss(), 8, memory_size=4)
    peer(points, labels)
    restored = losses.CrossBatchMemory(losses.ContrastiveLoss(), 8, memory_size=4)
    restored.load_state_dict(peer.state_dict())
    # The embeddings come back; that there are any does not, and they are overwritten unused.
    assert peer.has_been_filled
    assert not restored.has_been_filled
    ours, again = CrossBatchMemory(4, 8), CrossBatchMemory(4, 8)
    ours.push(Embedded(points, labels, labels, torch.arange(4)))
    again.load_state_dict(ours.state_dict())
    kept = again.contents()
    order = kept.samples.argsort()
    assert torch.equal(kept.embeddings[order], points)
    assert torch.equal(kept.labels[order], labels)


def test_a_singleton_is_not_its_own_positive():
    names = [label for sample in UNEVEN.samples for label in sample.areas]
    peer = list(samplers.MPerClassSampler(names, m=3, batch_size=6, length_before_new_iter=60))
    batches = [peer[start : start + 6] for start in range(0, len(peer), 6)]
    assert any(len(set(batch)) < 6 for batch in batches)
    ours = PairSampler(UNEVEN, PairSettings(2, 3))
    assert all(len(set(ours.plan(i).keys)) == 6 for i in range(50))
