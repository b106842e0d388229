import pytest
import torch

from fewshot.siamese.cross_batch_memory import CrossBatchMemory
from fewshot.siamese.distributed import Embedded
from fewshot.siamese.effective_rank import effective_rank
from fewshot.siamese.hard_negatives import HardNegatives


def items(start, count, label=2**40):
    numbers = torch.arange(start, start + count)
    return Embedded(numbers[:, None].float().expand(-1, 2), numbers + label, numbers, numbers)


def test_the_newest_are_kept_with_exact_labels():
    memory = CrossBatchMemory(5, 2)
    assert len(memory.contents().labels) == 0
    memory.push(items(0, 3))
    assert memory.contents().samples.tolist() == [0, 1, 2]
    memory.push(items(3, 4))
    kept = memory.contents()
    assert sorted(kept.samples.tolist()) == [2, 3, 4, 5, 6]
    assert torch.equal(kept.labels - kept.samples, torch.full((5,), 2**40))
    assert torch.equal(kept.embeddings[:, 0].long(), kept.samples)
    memory.push(items(7, 12))  # more than fit
    assert sorted(memory.contents().samples.tolist()) == [14, 15, 16, 17, 18]


def test_memory_survives_a_restart_in_every_number():
    memory = CrossBatchMemory(5, 2, patience=2)
    memory.push(items(0, 4))
    assert len(memory.contents().labels) == 0  # patience
    other = CrossBatchMemory(5, 2, patience=2)
    other.load_state_dict(memory.state_dict())
    for each in (memory, other):
        each.push(items(4, 4))
    for name, value in memory.state_dict().items():
        assert torch.equal(value, other.state_dict()[name]), name
    assert torch.equal(memory.contents().labels, other.contents().labels)
    assert len(memory.contents().labels) == 5


def test_what_is_kept_has_no_gradient_and_does_not_change_under_a_graph():
    memory = CrossBatchMemory(4, 2)
    points = torch.ones(2, 2, requires_grad=True)
    batch = Embedded(points, *(torch.arange(2) for _ in range(3)))
    memory.push(batch)
    before = memory.contents()
    loss = (points * before.embeddings).sum()
    memory.push(batch)
    loss.backward()
    assert not before.embeddings.requires_grad


def bank(points, labels, subjects, **settings):
    negatives = HardNegatives(len(points), 1, **{"per_anchor": 2, "min_distance": 0.1, **settings})
    samples = torch.arange(len(points))
    columns = (torch.tensor(labels), torch.tensor(subjects), samples)
    negatives.refresh(iter([Embedded(torch.tensor(points)[:, None], *columns)]))
    return negatives


POINTS, LABELS, SUBJECTS = [0.05, 0.2, 0.3, 0.4, 0.5, 0.9], [1, 1, 0, -1, 2, 1], [5, 6, 7, 8, 9, 5]
ANCHOR = Embedded(torch.zeros(1, 1), *(torch.tensor([n]) for n in (0, 9, 99)))


def test_nearest_negatives_with_a_guard_against_false_ones():
    """Left out: too near 0.05, own class 0.3, unknown 0.4, own subject 0.5."""
    found, ignored_pairs = bank(POINTS, LABELS, SUBJECTS).find(ANCHOR)
    assert found.samples.tolist() == [1, 5]
    assert not ignored_pairs.any()
    found, _ = bank(POINTS, LABELS, SUBJECTS, other_subjects=False).find(ANCHOR)
    assert found.samples.tolist() == [1, 4]
    found, _ = bank(POINTS, LABELS, SUBJECTS, min_distance=0.0).find(ANCHOR)
    assert found.samples.tolist() == [0, 1]
    nobody = Embedded(torch.zeros(1, 1), *(torch.tensor([n]) for n in (-1, 1, 99)))
    assert len(bank(POINTS, LABELS, SUBJECTS).find(nobody)[0].labels) == 0
    assert len(HardNegatives(3, 1).find(ANCHOR)[0].labels) == 0  # nothing embedded yet


def test_what_one_anchor_found_is_guarded_for_the_others_too():
    second = Embedded(
        torch.tensor([[0.0], [0.25]]), *(torch.tensor(n) for n in ([0, 2], [9, 6], [98, 99]))
    )
    found, ignored_pairs = bank(POINTS, LABELS, SUBJECTS, per_anchor=1).find(second)
    places = found.samples.tolist()
    assert 1 in places  # the first anchor's; 0.05 from the second, and of its subject
    assert ignored_pairs[1, places.index(1)]
    assert not ignored_pairs[0, places.index(1)]


def test_embeddings_of_all_images_are_demanded():
    with pytest.raises(ValueError, match="2 embeddings were given; expected 3"):
        HardNegatives(3, 2).refresh(iter([items(0, 2)]))
    for make in (
        lambda: HardNegatives(0, 2),
        lambda: CrossBatchMemory(0, 2),
    ):
        with pytest.raises(ValueError, match="expected"):
            make()


def test_effective_rank_by_hand():
    assert effective_rank(torch.eye(4)) == pytest.approx(4.0)
    assert effective_rank(torch.ones(6, 3)) == pytest.approx(1.0)
    assert effective_rank(torch.zeros(6, 3)) == 0
    # Singular values 3 and 1: shares 3/4 and 1/4.
    expected = 4 / 3**0.75
    assert effective_rank(torch.diag(torch.tensor([3.0, 1.0]))) == pytest.approx(expected)
    assert effective_rank(torch.tensor([[1.0, torch.nan]])).isnan()
    points = torch.randn(7, 5, generator=torch.Generator().manual_seed(0))
    shares = torch.linalg.svdvals(points.double())
    shares = shares / shares.sum()
    expected = (-(shares * shares.log()).sum()).exp().item()
    assert effective_rank(points) == pytest.approx(expected, rel=1e-5)
    assert effective_rank(points.T) == pytest.approx(expected, rel=1e-5)
