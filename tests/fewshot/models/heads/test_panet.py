import pytest
import torch
from torch.nn import functional

from fewshot.models.heads import PANetHead, PANetSettings
from fewshot.models.heads.panet import squared_distance
from tests.fewshot.models.heads.family import check_head, two_colour_task


@pytest.mark.parametrize("distance", ["cosine", "euclidean"])
def test_contract(distance):
    check_head(lambda _: PANetHead(PANetSettings(distance)))


@pytest.mark.parametrize("distance", ["cosine", "euclidean"])
def test_equals_the_paper_pixel_by_pixel(distance):
    """PANet's equations 1 to 3 with loops over ways, shots and pixels."""
    support, masks, query, _ = two_colour_task(way=2, shot=2, batch=1)
    logits = PANetHead(PANetSettings(distance)).logits(
        PANetHead(PANetSettings(distance)).encode_support(support, masks), query
    )
    prototypes = _loop_prototypes(support[0], masks[0])
    for row, column in ((0, 0), (3, 17), (31, 31)):
        pixel = query[0, 1, :, row, column]
        for label, prototype in enumerate(prototypes):
            if distance == "cosine":
                expected = 20 * functional.cosine_similarity(pixel, prototype, dim=0)
            else:
                expected = -20 * (pixel - prototype).square().sum()
            torch.testing.assert_close(
                logits[0, 1, label, row, column], expected, atol=2e-3, rtol=1e-4
            )


def _loop_prototypes(support, masks):
    way, shot = masks.shape[:2]
    background, classes = [], []
    for w in range(way):
        shots = []
        for s in range(shot):
            for value, found in ((1, shots), (0, background)):
                where = masks[w, s] == value
                total = sum(support[w, s, :, r, c] for r, c in where.nonzero())
                found.append(total / (where.sum() + 1e-5))
        classes.append(torch.stack(shots).mean(0))
    return [torch.stack(background).mean(0), *classes]


def test_distance_is_never_negative_and_zero_at_the_prototype():
    features = torch.full((1, 1, 8, 2, 2), 1 / 3)
    distance = squared_distance(features, torch.full((1, 1, 8), 1 / 3))
    assert (distance >= 0).all()
    assert distance.max() < 1e-6
