import pytest
import torch
from torch.nn import functional

from fewshot.numerics import unit_length
from fewshot.siamese.distances import (
    cosine_distances,
    cosine_similarities,
    euclidean_distances,
    indexed_euclidean_distances,
    paired_euclidean_distances,
    squared_euclidean_distances,
)
from fewshot.siamese.mahalanobis import Mahalanobis, factor_of, mahalanobis_distances
from fewshot.siamese.weighted_l1 import WeightedL1, weighted_l1


def vectors(count, dim=8, seed=0, dtype=torch.float32):
    return torch.randn(count, dim, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def near_duplicates(count=80, dim=128):
    """A batch of unit length whose second half repeats the first, a few of them not exactly."""
    half = functional.normalize(vectors(count // 2, dim), dim=1)
    copies = half.clone()
    copies[:5] += 1e-5 * vectors(5, dim, seed=1)
    return torch.cat([half, copies])


def test_known_distances():
    first, second = torch.tensor([[0.0, 0.0]]), torch.tensor([[3.0, 4.0], [0.0, 0.0]])
    assert euclidean_distances(first, second).tolist() == [[5.0, 0.0]]
    assert squared_euclidean_distances(first, second).tolist() == [[25.0, 0.0]]
    right = torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 2.0], [-3.0, 0.0], [5.0, 0.0]])
    assert cosine_distances(*right).tolist() == [[1.0, 2.0, 0.0]]
    assert cosine_similarities(*right).tolist() == [[0.0, -1.0, 1.0]]


@pytest.mark.parametrize("same", [True, False])
def test_equal_vectors_have_distance_zero_and_near_ones_their_own(same):
    """`torch.cdist` gives up to 1e-3 here: its product form cancels from 25 vectors on."""
    batch = near_duplicates()
    assert torch.cdist(batch, batch).diagonal().max() > 1e-4
    other = batch if same else batch.clone()
    found = euclidean_distances(batch, other)
    assert (found.diagonal() == 0).all()
    assert (found[5:40, 45:].diagonal() == 0).all()
    wide = batch.double()
    exact = torch.cdist(wide, wide, compute_mode="donot_use_mm_for_euclid_dist")
    torch.testing.assert_close(found.double(), exact, rtol=1e-4, atol=1e-9)


@pytest.mark.parametrize("distance", [euclidean_distances, cosine_distances])
@pytest.mark.parametrize("spread", [0.0, 1e-4])
def test_collapsed_batches_are_exact_with_finite_gradients(distance, spread):
    batch = torch.full((70, 16), 0.25) + spread * vectors(70, 16)
    batch.requires_grad_()
    found = distance(batch, batch)
    assert (found.diagonal() == 0).all()
    if not spread:
        assert (found == 0).all()
    found.sum().backward()
    assert batch.grad.isfinite().all()
    if distance is euclidean_distances:
        exact = batch.detach().double()
        gaps = exact[:, None] - exact
        norms = gaps.norm(dim=2, keepdim=True)
        expected = 2 * torch.where(norms > 0, gaps / norms, 0.0).sum(dim=1)
        torch.testing.assert_close(batch.grad.double(), expected, rtol=1e-4, atol=1e-4)


def test_gradients_of_near_pairs_do_not_cancel():
    batch = near_duplicates().requires_grad_()
    weights = torch.zeros(80, 80)
    weights[0, 40] = 1.0  # 1e-5 apart
    (euclidean_distances(batch, batch) * weights).sum().backward()
    gap = (batch[0] - batch[40]).detach()
    torch.testing.assert_close(batch.grad[0], gap / gap.norm(), rtol=1e-3, atol=1e-5)
    torch.testing.assert_close(batch.grad[40], -batch.grad[0])


@pytest.mark.parametrize(
    "distance",
    [euclidean_distances, squared_euclidean_distances, cosine_distances, cosine_similarities],
)
@pytest.mark.parametrize("same", [True, False])
def test_gradcheck(distance, same):
    first = vectors(4, 3, dtype=torch.float64).requires_grad_()
    second = vectors(5, 3, seed=1, dtype=torch.float64).requires_grad_()
    if same:
        # The root has no slope at the diagonal's 0, so that is left out.
        kept = ~torch.eye(4, dtype=torch.bool)
        assert torch.autograd.gradcheck(lambda x: distance(x, x)[kept], first)
    else:
        assert torch.autograd.gradcheck(distance, (first, second))


@pytest.mark.parametrize("distance", [euclidean_distances, squared_euclidean_distances])
def test_second_derivatives(distance):
    """With a pair among them that is near enough to be computed directly."""
    first = vectors(5, 3, dtype=torch.float64)
    first[4] = first[0] + 1e-3
    kept = ~torch.eye(5, dtype=torch.bool)
    inputs = first.requires_grad_(), vectors(4, 3, seed=1, dtype=torch.float64).requires_grad_()
    assert torch.autograd.gradgradcheck(distance, inputs)
    assert torch.autograd.gradgradcheck(
        lambda x: distance(x, x)[kept], inputs[0], eps=1e-7, rtol=1e-2, atol=1e-2
    )


@pytest.mark.parametrize("same", [True, False])
def test_picked_distances_are_those_of_the_matrix(same):
    first = vectors(5, 3, dtype=torch.float64).requires_grad_()
    second = first if same else vectors(7, 3, seed=1, dtype=torch.float64).requires_grad_()
    places = torch.tensor([[1, 2, 3, 4, 0], [3, 3, 1, 0, 1]])
    found = indexed_euclidean_distances(first, second, places)
    torch.testing.assert_close(found, euclidean_distances(first, second).gather(1, places.T).T)
    leaves = [first] if same else [first, second]
    for check in (torch.autograd.gradcheck, torch.autograd.gradgradcheck):
        assert check(lambda *x: indexed_euclidean_distances(x[0], x[-1], places), leaves)
    equal = torch.ones(3, 2, requires_grad=True)
    indexed_euclidean_distances(equal, equal, torch.tensor([[1, 2, 0]])).sum().backward()
    assert (equal.grad == 0).all()


def test_the_gradient_at_zero_is_finite_everywhere():
    """The plain norm has NaN here."""
    for make in (
        lambda x: paired_euclidean_distances(x, x.detach()),
        lambda x: euclidean_distances(x, x.detach()),
        lambda x: euclidean_distances(x, x),
        unit_length,
    ):
        point = torch.zeros(2, 3, requires_grad=True)
        make(point).sum().backward()
        assert point.grad.isfinite().all()
        assert point.grad.abs().max() <= 1
    assert (unit_length(torch.zeros(1, 3)) == 0).all()


def test_mahalanobis_by_hand_and_by_whitening():
    covariance = torch.tensor([[4.0, 1.0], [1.0, 3.0]])
    inverse = covariance.inverse()
    first, second = vectors(6, 2), vectors(7, 2, seed=1)
    gaps = first[:, None] - second
    expected = torch.einsum("nmi,ij,nmj->nm", gaps, inverse, gaps).sqrt()
    torch.testing.assert_close(mahalanobis_distances(first, second, factor_of(inverse)), expected)
    learned = Mahalanobis(2, 1)
    torch.testing.assert_close(learned(first, second), gaps[..., 0].abs())
    learned(first, second).sum().backward()
    assert learned.factor.grad.abs().max() > 0
    with pytest.raises(ValueError, match="not symmetric"):
        factor_of(torch.tensor([[1.0, 2.0], [0.0, 1.0]]))
    with pytest.raises(ValueError, match="eigenvalue -1"):
        factor_of(torch.diag(torch.tensor([1.0, -1.0])))
    with pytest.raises(ValueError, match="expected 1 to 2"):
        Mahalanobis(2, 3)


def test_weighted_l1_is_the_weighted_sum_of_differences():
    first, second, weights = vectors(4, 6), vectors(5, 6, seed=1), vectors(1, 6, seed=2)[0]
    expected = ((first[:, None] - second).abs() * weights).sum(dim=2)
    torch.testing.assert_close(weighted_l1(first, second, weights), expected)
    inputs = [each.double().requires_grad_() for each in (first, second, weights)]
    assert torch.autograd.gradcheck(weighted_l1, inputs)
    head = WeightedL1(6)
    logits = head(first, first)
    torch.testing.assert_close(logits.diagonal(), head.bias.detach().expand(4))
    assert (logits <= head.bias).all()
