import pytest
import torch
from torch.nn import functional

from fewshot.models.heads import MixturePrototypesHead, MixturePrototypesSettings
from fewshot.models.heads.mixture_prototypes import cluster, farthest_points
from tests.fewshot.models.heads.family import check_head, two_colour_task


@pytest.mark.parametrize(
    "settings",
    [
        MixturePrototypesSettings(2, 3),
        MixturePrototypesSettings(2, 3, assignment="soft"),
        MixturePrototypesSettings(2, 3, score="max"),
    ],
)
def test_contract(settings):
    check_head(lambda _: MixturePrototypesHead(settings))


def points_and_weights():
    generator = torch.Generator().manual_seed(2)
    unit = functional.normalize(torch.randn(2, 30, 4, generator=generator), dim=2)
    weights = torch.rand(2, 30, generator=generator)
    weights[:, 20:] = 0
    return unit, weights


@pytest.mark.parametrize("concentration", [None, 7.0])
def test_equals_a_loop_over_points(concentration):
    unit, weights = points_and_weights()
    found, valid = cluster(unit, weights, 3, 4, concentration)
    assert valid.all()
    for number in range(2):
        points = list(zip(unit[number, :20], weights[number, :20], strict=True))
        centres = _loop_start(points, 3)
        for _ in range(5):  # four, and the one that carries the gradient
            sums = [torch.zeros(4) for _ in centres]
            for x, w in points:
                likeness = torch.stack([x @ c for c in centres])
                if concentration is None:
                    shares = [float(i == likeness.argmax()) for i in range(3)]
                else:
                    powers = (concentration * likeness).exp()
                    shares = (powers / powers.sum()).tolist()
                sums = [s + share * w * x for s, share in zip(sums, shares, strict=True)]
            centres = [s / s.norm() for s in sums]
        torch.testing.assert_close(found[number], torch.stack(centres))


def _loop_start(points, count):
    mean = sum(w * x for x, w in points)
    heavy = [x for x, w in points if w >= 0.5 * max(w for _, w in points)]
    chosen = [max(heavy, key=lambda x: float(x @ mean))]
    while len(chosen) < count:
        chosen.append(min(heavy, key=lambda x: max(float(x @ c) for c in chosen)))
    return chosen


def test_tight_groups_are_found_whatever_the_order():
    axes = torch.eye(5)[:3].repeat_interleave(4, dim=0)
    noise = 0.02 * torch.randn(12, 5, generator=torch.Generator().manual_seed(0))
    unit = functional.normalize(axes + noise, dim=1)[None]
    centres, _ = cluster(unit, torch.ones(1, 12), 3, 5)
    assert (centres[0, :, :3].amax(dim=0) > 0.99).all()
    order = torch.tensor([7, 1, 11, 0, 4, 9, 2, 8, 3, 10, 6, 5])
    again, _ = cluster(unit[:, order], torch.ones(1, 12), 3, 5)
    torch.testing.assert_close(again, centres)


def test_fewer_points_than_clusters_leave_some_empty():
    unit = torch.eye(4)[None, [0, 0, 1]]
    assert farthest_points(unit, torch.ones(1, 3), 2)[0].tolist() in ([0, 2], [1, 2])
    centres, valid = cluster(unit, torch.ones(1, 3), 4, 3)
    assert valid.sum() == 2
    torch.testing.assert_close(centres[valid].sum(dim=0), torch.tensor([1.0, 1.0, 0.0, 0.0]))
    nothing, valid = cluster(unit, torch.zeros(1, 3), 2, 3)
    assert not valid.any()
    assert torch.isfinite(nothing).all()


def test_one_cluster_is_the_normalised_prototype():
    support, masks, query, _ = two_colour_task(batch=1)
    head = MixturePrototypesHead(MixturePrototypesSettings(1, 1))
    logits = head.logits(head.encode_support(support, masks), query)
    unit = functional.normalize(support[0, 0, 0], dim=0)
    for label in (0, 1):
        mean = unit[:, masks[0, 0, 0] == label].sum(dim=1)
        expected = 20 * functional.cosine_similarity(query[0, 0, :, 4, 9], mean, dim=0)
        torch.testing.assert_close(logits[0, 0, label, 4, 9], expected)


def test_the_best_or_the_softmax_weighted_mean_decides():
    support, masks, query, _ = two_colour_task(batch=1)
    best, mean = (
        MixturePrototypesHead(MixturePrototypesSettings(3, 3, score=s)) for s in ("max", "mean")
    )
    condensed = best.encode_support(support, masks)
    d = 20 * torch.einsum(
        "c,kc->k",
        functional.normalize(query[0, 0, :, 4, 9], dim=0),
        condensed.tensors["classes"][0, 0][condensed.tensors["classes_valid"][0, 0]],
    )
    torch.testing.assert_close(best.logits(condensed, query)[0, 0, 1, 4, 9], d.max())
    expected = (d.softmax(dim=0) * d).sum()
    torch.testing.assert_close(mean.logits(condensed, query)[0, 0, 1, 4, 9], expected)


def test_a_label_without_any_point_scores_the_lowest_cosine():
    support, masks, query, _ = two_colour_task(batch=1)
    head = MixturePrototypesHead(MixturePrototypesSettings(3, 3, score="max"))
    logits = head.logits(head.encode_support(support, masks.clamp(min=1)), query)
    torch.testing.assert_close(logits[:, :, 0], torch.full_like(logits[:, :, 0], -20.0))
