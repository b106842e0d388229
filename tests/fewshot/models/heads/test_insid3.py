import pytest
import torch
from torch.nn import functional

from fewshot.models.heads import INSID3Head, INSID3Settings
from fewshot.models.heads.agglomerative import cluster_means, cluster_positions
from fewshot.models.heads.insid3 import (
    candidates,
    cluster_scores,
    covered,
    positional_basis,
    without,
)
from tests.fewshot.models.heads.family import check_head, two_colour_task


def test_contract():
    check_head(lambda _: INSID3Head())


def slow_clusters(features, similarity):
    """Join the two clusters with the largest mean cosine until none reaches the threshold."""
    unit = functional.normalize(features, dim=1)
    cosine = unit @ unit.T
    clusters = [[position] for position in range(len(features))]
    while len(clusters) > 1:
        best = max(
            (cosine[one][:, other].mean().item(), i, j)
            for i, one in enumerate(clusters)
            for j, other in enumerate(clusters[:i])
        )
        if best[0] < similarity:
            break
        clusters[best[2]] += clusters.pop(best[1])
    return {frozenset(cluster) for cluster in clusters}


@pytest.mark.parametrize("similarity", [0.0, 0.3, 0.6, 0.95])
def test_clusters_equal_the_slow_joining(similarity):
    features = torch.randn(24, 3, generator=torch.Generator().manual_seed(2))
    labels = cluster_positions(features, similarity)
    found = {
        frozenset((labels == label).nonzero()[:, 0].tolist()) for label in labels.unique().tolist()
    }
    assert found == slow_clusters(features, similarity)
    assert labels.min() == 0
    means = cluster_means(features, labels)
    torch.testing.assert_close(means[labels[5]], features[labels == labels[5]].mean(dim=0))


def test_one_position_is_one_cluster():
    assert cluster_positions(torch.ones(1, 3), 0.6).tolist() == [0]


def test_candidates_equal_a_loop_over_positions_and_shots():
    generator = torch.Generator().manual_seed(3)
    query = functional.normalize(torch.randn(40, 4, generator=generator), dim=1)
    way = {
        "prototypes": functional.normalize(torch.randn(4, generator=generator), dim=0),
        "positions": functional.normalize(torch.randn(4, 30, 4, generator=generator), dim=2),
        "inside": torch.rand(4, 30, generator=generator) > 0.5,
        "known": torch.rand(4, 30, generator=generator) > 0.2,
    }
    way["inside"] &= way["known"]
    way["inside"][3] = False  # a shot without the class has no vote
    expected = []
    for vector in query:
        votes = 0
        for shot in range(3):
            places = [p for p in range(30) if way["known"][shot, p]]
            nearest = max(places, key=lambda p, s=shot: float(vector @ way["positions"][s, p]))
            votes += int(way["inside"][shot, nearest])
        expected.append(bool(vector @ way["prototypes"] > 0) and votes >= 2)
    found = candidates(query, way).tolist()
    assert found == expected
    assert 3 < sum(found) < 30


def test_scores_by_hand():
    """Two clusters with candidates, one without; the seed's area counts as 1."""
    prototype = torch.tensor([1.0, 0.0])
    centred = torch.tensor([[0.8, 0.6], [0.8, -0.6], [0.6, 0.8], [0.6, 0.8], [-1.0, 0.0]])
    plain = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.6, 0.8], [0.6, 0.8], [0.0, 1.0]])
    clusters = torch.tensor([0, 0, 2, 2, 1])
    found = torch.tensor([True, False, True, False, False])
    scores = cluster_scores(plain, centred, clusters, found, prototype)
    second = 0.6 * 0.6 * 0.5  # cross, intra, area
    torch.testing.assert_close(scores, torch.tensor([0.8, 0.8, second, second, 0.0]))
    centred.requires_grad_()
    none = cluster_scores(plain, centred, clusters, torch.zeros(5, dtype=torch.bool), prototype)
    assert none.tolist() == [0.0] * 5
    none.sum().backward()  # training goes on
    assert centred.grad is not None
    assert (centred.grad == 0).all()


def test_positional_directions_are_found_and_removed():
    """Content differs by image, a ramp does not: it is the leading direction of the mean map."""
    generator = torch.Generator().manual_seed(4)
    content = torch.randn(1, 2, 30, 6, 8, 8, generator=generator)
    ramp = functional.normalize(torch.randn(6, generator=generator), dim=0)
    maps = content + 3 * ramp[:, None, None] * torch.linspace(-1, 1, 8)
    known = torch.ones(1, 2, 30, 8, 8, dtype=torch.bool)
    known[..., 0, :] = False
    maps[..., 0, :] = 100.0  # unknown positions count nowhere
    basis = positional_basis(maps, known, 1)
    assert basis.shape == (1, 6, 1)
    assert (basis[0, :, 0] @ ramp).abs() > 0.98
    freed = without(maps, basis)
    torch.testing.assert_close(
        torch.einsum("bwscij,bck->bwskij", freed, basis),
        torch.zeros(1, 2, 30, 1, 8, 8),
        atol=1e-4,
        rtol=0,
    )
    assert positional_basis(maps, known, 0).shape == (1, 6, 0)
    assert torch.equal(without(maps, basis[..., :0]), maps)


def test_a_structure_thinner_than_a_position_keeps_what_it_covers_most():
    inside = torch.tensor([[0.0, 0.3, 0.3], [0.1, 0.0, 0.0]])
    assert covered(inside, 1 - inside).tolist() == [[False, True, True], [False, False, False]]
    assert not covered(torch.zeros(2, 2), torch.ones(2, 2)).any()
    assert not covered(torch.zeros(2, 2), torch.zeros(2, 2)).any()
    thick = torch.tensor([[1.0, 0.5, 0.4]])
    assert covered(thick, 1 - thick).tolist() == [[True, True, False]]


def test_finer_features_are_matched_on_the_coarser_grid():
    support, masks, query, truth = two_colour_task()
    head = INSID3Head(INSID3Settings(side=16))
    right = (head.logits(head.encode_support(support, masks), query).argmax(dim=2) == truth).float()
    # Stripes of two positions that the roll by five lays across the cells of two.
    assert right.mean() > 0.4
    aligned = head.logits(head.encode_support(support, masks), support[:, 0]).argmax(dim=2)
    assert (aligned == (masks[:, 0] == 1)).float().mean() > 0.95
