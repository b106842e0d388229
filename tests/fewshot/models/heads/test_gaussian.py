import numpy as np
import pytest
import torch
from sklearn.covariance import ledoit_wolf
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from torch.distributions import MultivariateNormal, Normal

from fewshot.models.heads import GaussianHead, GaussianSettings
from fewshot.models.heads.gaussian import _mean, below_others, shrunk_covariance
from tests.fewshot.models.heads.family import check_head, two_colour_task


@pytest.mark.parametrize("settings", [GaussianSettings(), GaussianSettings("diagonal")])
def test_contract(settings):
    check_head(lambda _: GaussianHead(settings))


def two_labels():
    generator = torch.Generator().manual_seed(0)
    mixing = torch.randn(6, 6, generator=generator)
    labels = [torch.randn(n, 6, generator=generator) @ mixing + n for n in (25, 9)]
    means = torch.stack([points.mean(dim=0) for points in labels])
    return labels, means


def weighted(labels):
    return [(points[None], torch.ones(1, len(points))) for points in labels]


def test_pooled_covariance_is_that_of_scikit_learn():
    labels, means = two_labels()
    found = shrunk_covariance(weighted(labels), means[None], 0.3)[0]
    lda = LinearDiscriminantAnalysis(solver="lsqr", shrinkage=0.3)
    lda.fit(torch.cat(labels).double().numpy(), [0] * 25 + [1] * 9)
    np.testing.assert_allclose(found, lda.covariance_, rtol=1e-4)


def test_ledoit_and_wolfs_share_is_that_of_scikit_learn():
    labels, means = two_labels()
    found = shrunk_covariance(weighted(labels), means[None])[0]
    residuals = torch.cat([p - m for p, m in zip(labels, means, strict=True)]).double().numpy()
    expected, share = ledoit_wolf(residuals, assume_centered=True)
    assert 0.05 < share < 0.95
    np.testing.assert_allclose(found, expected, rtol=1e-4)


def test_weights_are_repetitions_up_to_the_effective_number():
    labels, means = two_labels()
    some = [(points[None], torch.full((1, len(points)), 7.0)) for points in labels]
    torch.testing.assert_close(
        shrunk_covariance(some, means[None]), shrunk_covariance(weighted(labels), means[None])
    )


def test_logits_are_log_densities_up_to_what_labels_share():
    support, masks, query, _ = two_colour_task(way=2, batch=1)
    for kind in ("shared", "diagonal"):
        head = GaussianHead(GaussianSettings(kind, shrinkage=0.2))
        logits = head.logits(head.encode_support(support, masks), query)
        known = [[], [], []]
        for way in range(2):
            for row, column in torch.cartesian_prod(torch.arange(32), torch.arange(32)):
                value = masks[0, way, 0, row, column]
                if value != 255:
                    known[(way + 1) * int(value)].append(support[0, way, 0, :, row, column])
        points = [torch.stack(label).double() for label in known]
        densities = _shared(points) if kind == "shared" else _diagonal(points)
        pixel = query[0, 0, :, 3, 7].double()
        expected = torch.stack([density(pixel) for density in densities])
        found = logits[0, 0, :, 3, 7].double()
        torch.testing.assert_close(found - found[0], expected - expected[0], rtol=2e-3, atol=1e-2)


def _shared(points):
    residuals = torch.cat([p - p.mean(dim=0) for p in points])
    pooled = residuals.T @ residuals / len(residuals)
    eye = torch.eye(len(pooled), dtype=pooled.dtype)
    variance = pooled.trace() / len(pooled)
    lifted = 0.8 * pooled + 0.2 * variance * eye + (1e-3 * variance + 1e-6) * eye
    return [MultivariateNormal(p.mean(dim=0), lifted).log_prob for p in points]


def _diagonal(points):
    shrunk = []
    for p in points:
        own = p.var(dim=0, correction=0)
        shrunk.append(0.8 * own + 0.2 * own.mean())
    common = torch.stack(shrunk).mean()
    variances = [own + 0.01 * common + 1e-6 for own in shrunk]
    normals = [Normal(p.mean(dim=0), v.sqrt()) for p, v in zip(points, variances, strict=True)]
    return [lambda x, normal=normal: normal.log_prob(x).sum() for normal in normals]


@pytest.mark.parametrize("kind", ["shared", "diagonal"])
def test_one_pixel_among_many_channels_is_enough(kind):
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(1, 1, 1, 200, 4, 4, generator=generator)
    masks = torch.full((1, 1, 1, 4, 4), 255, dtype=torch.uint8)
    masks[..., 0, 0], masks[..., 3, 3] = 1, 0
    head = GaussianHead(GaussianSettings(kind))
    logits = head.logits(head.encode_support(features, masks), features[:, 0])
    assert torch.isfinite(logits).all()
    assert logits[0, 0, :, 0, 0].argmax() == 1
    assert logits[0, 0, :, 3, 3].argmax() == 0


def test_absent_labels_are_below_the_others():
    logits = torch.tensor([3.0, -5.0, 9.0]).reshape(1, 1, 3, 1, 1)
    found = below_others(logits, torch.tensor([[True, True, False]]), margin=2.0)
    assert found.flatten().tolist() == [3.0, -5.0, -7.0]
    nothing = below_others(logits, torch.zeros(1, 3, dtype=torch.bool), margin=2.0)
    assert nothing.flatten().tolist() == [0.0, -2.0, -2.0]


def test_a_weighted_mean_of_less_than_one_position():
    """A small structure may cover a part of one entry of the grid."""
    values = torch.tensor([[[2.0], [6.0]], [[2.0], [6.0]]])
    found = _mean(values, torch.tensor([[0.1, 0.3], [0.0, 0.0]]))
    torch.testing.assert_close(found, torch.tensor([[5.0], [0.0]]))
