import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression, Ridge

from fewshot.models.heads import RidgeHead, RidgeSettings
from fewshot.models.heads.ridge import fit_logistic, fit_squared, solve_ridge
from tests.fewshot.models.heads.family import check_head, two_colour_task


@pytest.mark.parametrize("settings", [RidgeSettings(), RidgeSettings("logistic", scale=1.0)])
def test_contract(settings):
    check_head(lambda _: RidgeHead(settings))


def weighted_points(channels: int = 6):
    generator = torch.Generator().manual_seed(0)
    points = torch.randn(40, channels, generator=generator)
    inside = torch.rand(40, generator=generator)
    inside[15:] = 0
    outside = torch.rand(40, generator=generator)
    outside[:10] = 0  # positions 10 to 14 are partly either
    return points, inside / inside.sum() / 2, outside / outside.sum() / 2


def repeated(points, inside, outside):
    """Give every point once as foreground and once as background, for scikit-learn."""
    twice = torch.cat([points, points]).double().numpy()
    return twice, [1] * 40 + [-1] * 40, torch.cat([inside, outside]).double().numpy()


@pytest.mark.parametrize("channels", [6, 60])  # fewer and more than points
def test_squared_is_the_ridge_regression_of_scikit_learn(channels):
    points, inside, outside = weighted_points(channels)
    found = fit_squared(points, inside, outside, torch.tensor(0.02))
    twice, target, weights = repeated(points, inside, outside)
    oracle = Ridge(alpha=0.02, fit_intercept=False).fit(twice, target, weights)
    np.testing.assert_allclose(found, oracle.coef_, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("channels", [6, 60])
def test_logistic_is_that_of_scikit_learn(channels):
    points, inside, outside = weighted_points(channels)
    found = fit_logistic(points, inside, outside, torch.tensor(0.1), 8)
    twice, target, weights = repeated(points, inside, outside)
    oracle = LogisticRegression(C=10.0, fit_intercept=False, tol=1e-9, max_iter=1000)
    oracle.fit(twice, target, weights)
    np.testing.assert_allclose(found, oracle.coef_[0], rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("count", [5, 50])
def test_both_spaces_solve_the_same_equation(count):
    points = torch.randn(3, count, 20, generator=torch.Generator().manual_seed(1))
    target = torch.randn(3, 20, generator=torch.Generator().manual_seed(2))
    strength = torch.tensor(0.5)
    found = solve_ridge(points, target, strength)
    matrix = points.mT @ points + 0.5 * torch.eye(20)
    torch.testing.assert_close((matrix @ found[..., None])[..., 0], target, atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize("count", [100, 900])
def test_float32_is_enough(count):
    """Features of unit length and hundreds of channels, nearly all alike as in a real image."""
    generator = torch.Generator().manual_seed(0)
    points = torch.randn(1, 400, generator=generator)
    points = points + 0.1 * torch.randn(count, 400, generator=generator)
    points = torch.nn.functional.normalize(points, dim=1)
    inside = (torch.arange(count) < 10) / 20
    outside = (torch.arange(count) >= 10) / (2 * (count - 10))
    for fit, more in ((fit_squared, ()), (fit_logistic, (5,))):
        single = fit(points, inside, outside, torch.tensor(0.01), *more)
        double = fit(
            points.double(), inside.double(), outside.double(), torch.tensor(0.01).double(), *more
        )
        torch.testing.assert_close(single.double(), double, rtol=1e-3, atol=1e-3)


def test_area_does_not_matter_and_scale_and_bias_are_applied():
    support, masks, query, _ = two_colour_task(batch=1)
    head = RidgeHead(RidgeSettings(scale=3.0))
    with torch.no_grad():
        head.bias.fill_(0.5)
    condensed = head.encode_support(support, masks)
    features = torch.cat([support[0, 0, 0].flatten(1), torch.ones(1, 1024)]).T
    mask = masks[0, 0, 0].flatten() == 1
    weights = torch.where(mask, 0.5 / mask.sum(), 0.5 / (~mask).sum())
    target = torch.where(mask, 1.0, -1.0)
    matrix = (features * weights[:, None]).T @ features + 0.01 * torch.eye(5)
    expected = torch.linalg.solve(matrix, features.T @ (weights * target))
    torch.testing.assert_close(condensed.tensors["weight"][0, 0], expected, atol=1e-4, rtol=1e-3)
    pixel = torch.cat([query[0, 0, :, 4, 9], torch.ones(1)])
    found = head.logits(condensed, query)[0, 0, :, 4, 9]
    torch.testing.assert_close(
        found, torch.stack([torch.tensor(0.0), 3 * pixel @ expected + 0.5]), atol=1e-3, rtol=1e-3
    )


@pytest.mark.parametrize("loss", ["squared", "logistic"])
def test_regularisation_scale_and_bias_are_learned(loss):
    support, masks, query, _ = two_colour_task()
    head = RidgeHead(RidgeSettings(loss))
    head.logits(head.encode_support(support, masks), query).square().mean().backward()
    for name, parameter in head.named_parameters():
        assert parameter.grad.abs() > 0, name
