import pytest
import torch
from torch.nn import functional

from fewshot.models.heads import PFENetPriorHead, PFENetPriorSettings
from fewshot.models.heads.pfenet_prior import masked_positions, prior_mask
from tests.fewshot.models.heads.family import check_head


def test_contract():
    check_head(lambda _: PFENetPriorHead(), full_is_found=False)


def test_equals_the_paper_pixel_by_pixel():
    generator = torch.Generator().manual_seed(0)
    support = torch.randn(1, 1, 2, 5, 4, 4, generator=generator)
    query = torch.randn(1, 2, 5, 4, 4, generator=generator)
    masks = torch.randint(0, 2, (1, 1, 2, 4, 4), generator=generator).to(torch.uint8)
    head = PFENetPriorHead(PFENetPriorSettings(threshold=0.6, scale=10.0))
    logits = head.logits(head.encode_support(support, masks), query)
    for number in range(2):
        best = torch.zeros(4, 4)
        for r in range(4):
            for c in range(4):
                best[r, c] = max(
                    functional.cosine_similarity(query[0, number, :, r, c], x, dim=0)
                    for shot in range(2)
                    for x in support[0, 0, shot, :, masks[0, 0, shot] == 1].T
                )
        prior = (best - best.min()) / (best.max() - best.min() + 1e-7)
        torch.testing.assert_close(logits[0, number, 1], 10 * (prior - 0.6), atol=1e-4, rtol=1e-4)
        assert (logits[0, number, 0] == 0).all()


def test_a_query_of_one_colour_and_an_empty_support_have_the_prior_zero():
    query = torch.ones(1, 1, 3, 2, 2)
    positions = torch.eye(3)[None]
    everything = torch.ones(1, 3, dtype=torch.bool)
    assert (prior_mask(query, positions, everything).abs() < 1e-3).all()
    assert (prior_mask(query, positions, ~everything) == 0).all()
    assert (prior_mask(query, positions[:, :0], everything[:, :0]) == 0).all()


def test_positions_are_those_mostly_inside_or_the_most_inside():
    masks = torch.zeros(1, 3, 1, 8, 8, dtype=torch.uint8)
    masks[0, 0, 0, :4, :4] = 1  # a quarter of a grid of two by two
    masks[0, 1, 0, 7, 7] = 1  # a single pixel
    found = masked_positions(masks, 2, 2)[0].tolist()
    assert found == [[True, False, False, False], [False, False, False, True], [False] * 4]


@pytest.mark.parametrize("most", [3, 1000])
def test_the_number_of_kept_positions_is_bounded(most):
    support, masks = torch.rand(1, 1, 4, 3, 4, 4), torch.ones(1, 1, 4, 4, 4, dtype=torch.uint8)
    condensed = PFENetPriorHead(PFENetPriorSettings(most=most)).encode_support(support, masks)
    assert condensed.tensors["positions"].shape[2] == min(most, 64)
