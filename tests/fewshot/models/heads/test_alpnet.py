import torch
from torch.nn import functional

from fewshot.models.heads import ALPNetHead, ALPNetSettings
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
