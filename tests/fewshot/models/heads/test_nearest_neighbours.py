import pytest
import torch

from fewshot.models.heads import NearestNeighboursHead, NearestNeighboursSettings
from fewshot.models.heads.nearest_neighbours import nearest_mean
from tests.fewshot.models.heads.family import check_head, two_colour_task


@pytest.mark.parametrize("settings", [NearestNeighboursSettings(), NearestNeighboursSettings(1)])
def test_contract(settings):
    check_head(lambda _: NearestNeighboursHead(settings))


def test_equals_a_loop_over_positions():
    support, masks, query, _ = two_colour_task(batch=1)
    head = NearestNeighboursHead()
    logits = head.logits(head.encode_support(support, masks), query)
    features, mask = support[0, 0, 0], masks[0, 0, 0]
    for row, column in ((0, 0), (9, 17)):
        for label in (0, 1):
            found = sorted(
                float(torch.cosine_similarity(query[0, 1, :, row, column], features[:, r, c], 0))
                for r, c in (mask == label).nonzero()
            )
            expected = 20 * sum(found[-3:]) / 3
            assert logits[0, 1, label, row, column].item() == pytest.approx(expected, abs=1e-4)


def test_fewer_positions_than_neighbours_and_none_at_all():
    similarity = torch.tensor([0.9, 0.1, -0.4]).view(1, 1, 1, 1, 3)
    two = nearest_mean(similarity, torch.tensor([[True, False, True]]), 3)
    assert two.item() == pytest.approx(0.25)
    assert nearest_mean(similarity, torch.zeros(1, 3, dtype=torch.bool), 3).item() == -1


def test_a_class_that_fills_no_position_keeps_the_one_that_it_fills_most():
    features = torch.eye(4).view(1, 1, 1, 4, 2, 2)
    masks = torch.zeros(1, 1, 1, 8, 8, dtype=torch.uint8)
    masks[..., 5, 5] = 1
    masks[..., 6, 6:] = 1
    tensors = NearestNeighboursHead().encode_support(features, masks).tensors
    assert tensors["positions_1"][0, tensors["valid_1"][0]].tolist() == [[0.0, 0.0, 0.0, 1.0]]
    assert int(tensors["valid_0"].sum()) == 3
