import pytest
import torch
from torch.nn import functional

from fewshot.models.heads import ALPNetHead, ALPNetSettings
from fewshot.models.heads.alpnet import soft_similarity, thin_out
from tests.fewshot.models.heads.family import check_head, two_colour_task


def test_contract():
    check_head(lambda _: ALPNetHead(ALPNetSettings(window=1)))


def test_equals_the_paper_pixel_by_pixel():
    """ALPNet: pooled windows above the purity, plus the foreground's global prototype."""
    generator = torch.Generator().manual_seed(3)
    support = torch.randn(1, 1, 1, 5, 8, 8, generator=generator)
    query = torch.randn(1, 1, 5, 8, 8, generator=generator)
    mask = torch.zeros(1, 1, 1, 8, 8, dtype=torch.uint8)
    mask[..., 2:6, 1:5] = 1
    head = ALPNetHead(ALPNetSettings(window=2))
    logits = head.logits(head.encode_support(support, mask), query)
    features, weight = support[0, 0, 0], mask[0, 0, 0].float()
    local = {0: [], 1: []}
    for r in range(0, 8, 2):
        for c in range(0, 8, 2):
            window = (slice(r, r + 2), slice(c, c + 2))
            mean = features[(slice(None), *window)].mean(dim=(1, 2))
            if weight[window].mean() > 0.95:
                local[1].append(mean)
            if (1 - weight[window]).mean() > 0.95:
                local[0].append(mean)
    local[1].append((features * weight).sum(dim=(1, 2)) / (weight.sum() + 1e-5))
    assert len(local[0]) == 10
    assert len(local[1]) == 3
    for label, prototypes in local.items():
        for r, c in ((0, 0), (4, 5), (7, 3)):
            pixel = query[0, 0, :, r, c]
            d = torch.stack(
                [20 * functional.cosine_similarity(pixel, p, dim=0) for p in prototypes]
            )
            torch.testing.assert_close(logits[0, 0, label, r, c], (d.softmax(0) * d).sum())


def test_thinning_keeps_the_bound_and_the_answer():
    support, masks, query, truth = two_colour_task(shot=4)
    head = ALPNetHead(ALPNetSettings(window=1, most=50))
    condensed = head.encode_support(support, masks)
    assert condensed.tensors["prototypes_0"].shape[1] == 51
    right = (head.logits(condensed, query).argmax(dim=2) == truth).float().mean()
    assert right > 0.85


def test_a_structure_thinner_than_a_window_keeps_its_global_prototype():
    support, _, _query, _ = two_colour_task()
    masks = torch.zeros(2, 1, 1, 32, 32, dtype=torch.uint8)
    masks[..., 2] = 1  # one column: no window of two is pure
    condensed = ALPNetHead(ALPNetSettings(window=2)).encode_support(support, masks)
    assert condensed.tensors["valid_1"].sum(dim=1).tolist() == [1, 1]


@pytest.mark.parametrize(
    ("purity", "inside", "outside"),
    [(0.2, 4, 15), (0.25, 3, 14), (0.5, 2, 13), (0.7, 2, 13), (0.75, 1, 12), (0.95, 1, 12)],
)
def test_a_window_becomes_a_prototype_above_the_purity(purity, inside, outside):
    """Windows of 1, 2, 3 and 4 pixels of the class, and 12 without any."""
    support = torch.randn(1, 1, 1, 5, 8, 8, generator=torch.Generator().manual_seed(0))
    masks = torch.zeros(1, 1, 1, 8, 8, dtype=torch.uint8)
    for number in range(4):
        for pixel in range(number + 1):
            masks[0, 0, 0, pixel // 2, 2 * number + pixel % 2] = 1
    condensed = ALPNetHead(ALPNetSettings(window=2, purity=purity)).encode_support(support, masks)
    # The first entry is the global prototype: always the class's, never the background's here.
    assert condensed.tensors["valid_1"][0].tolist() == [True] + [True] * inside
    assert condensed.tensors["valid_0"][0].tolist() == [False] + [True] * outside


def test_default_purity_lets_a_twentieth_be_of_others():
    assert ALPNetSettings().purity == 0.95


def test_a_label_without_prototypes_scores_minus_scale_and_has_gradients():
    similarity = torch.linspace(-1, 1, 6).reshape(1, 1, 1, 2, 3).requires_grad_()
    score = soft_similarity(similarity, torch.zeros(1, 3, dtype=torch.bool), 20.0)
    assert torch.equal(score, torch.full((1, 1, 1, 2), -20.0))
    score.sum().backward()
    assert torch.isfinite(similarity.grad).all()


def test_prototypes_that_do_not_count_have_no_weight():
    similarity = torch.linspace(-1, 1, 6).reshape(1, 1, 1, 2, 3)
    valid = torch.tensor([[True, True, False]])  # the one left out is the most similar
    found = soft_similarity(similarity, valid, 60.0)
    expected = soft_similarity(similarity[..., :2], valid[:, :2], 60.0)
    torch.testing.assert_close(found, expected)


def test_patches_are_thinned_evenly_from_the_first_to_the_last():
    vectors = torch.arange(24.0).reshape(2, 12, 1)
    chosen = torch.ones(2, 12, dtype=torch.bool)
    chosen[1, 3:] = False
    kept, valid = thin_out(vectors, chosen, 4)
    assert kept[0, :, 0].tolist() == [0, 3, 7, 11]
    assert kept[1, :3, 0].tolist() == [12, 13, 14]
    assert valid.tolist() == [[True] * 4, [True] * 3 + [False]]
    every, _ = thin_out(vectors, chosen, 12)
    assert torch.equal(every[0], vectors[0])
