import torch
from torch.nn import functional

from fewshot.models.heads import HSNetHead, HSNetSettings
from fewshot.models.heads.hsnet import correlation, enlarge_query
from fewshot.models.levels import Level
from tests.fewshot.models.heads.family import check_head, two_colour_task
from tests.fewshot.models.heads.training import share_right_after

TINY = HSNetSettings(query_side=16, support_side=8, width=4, blocks=2)


def make(features, settings=TINY):
    torch.manual_seed(0)
    return HSNetHead(settings, [Level(features - 1, 8), Level(1, 16)])


def test_contract():
    check_head(make, learned=True)


def test_correlations_are_the_positive_cosines_with_the_foreground():
    """Equation 1 of the paper, pair by pair, from the masked features on."""
    generator = torch.Generator().manual_seed(1)
    support = torch.randn(1, 1, 1, 5, 4, 4, generator=generator)
    query = functional.normalize(torch.randn(1, 1, 5, 4, 4, generator=generator), dim=2)
    mask = torch.zeros(1, 1, 1, 4, 4, dtype=torch.uint8)
    mask[..., 1:3, 2:] = 1
    mask[..., 3, 3] = 255
    head = HSNetHead(TINY, [Level(5, 1)])
    kept = head.encode_support(support, mask).tensors["level_0"][:, :, 0]
    found = correlation(query, kept)
    assert found.shape == (1, 1, 1, 4, 4, 4, 4)
    for place in torch.cartesian_prod(*[torch.arange(4)] * 4):
        r, c, s, t = place.tolist()
        cosine = functional.cosine_similarity(
            query[0, 0, :, r, c], support[0, 0, 0, :, s, t], dim=0
        )
        expected = cosine.relu() if mask[0, 0, 0, s, t] == 1 else torch.tensor(0.0)
        torch.testing.assert_close(found[0, 0, 0, r, c, s, t], expected, atol=1e-6, rtol=1e-5)


def test_each_level_has_its_own_grid_and_a_cell_the_direction_of_its_foreground():
    levels = [Level(2, 4), Level(3, 16)]
    head = HSNetHead(HSNetSettings(query_side=16, support_side=8), levels)
    support = torch.rand(1, 1, 1, 5, 16, 16)
    mask = torch.zeros(1, 1, 1, 16, 16, dtype=torch.uint8)
    mask[..., 1, 2] = 1  # one position of the sixteen of its cell
    tensors = head.encode_support(support, mask).tensors
    assert tensors["level_0"].shape == (1, 1, 1, 2, 4, 4)
    assert tensors["level_1"].shape == (1, 1, 1, 3, 4, 4)
    for number, channels in ((0, slice(0, 2)), (1, slice(2, 5))):
        expected = functional.normalize(support[0, 0, 0, channels, 1, 2], dim=0)
        found = tensors[f"level_{number}"][0, 0, 0]
        torch.testing.assert_close(found[:, 0, 0], expected)
        assert found.flatten(1)[:, 1:].abs().sum() == 0
    seen = []
    head.squeeze[0].register_forward_hook(lambda _, inputs, out: seen.append(inputs[0].shape))
    head.squeeze[1].register_forward_hook(lambda _, inputs, out: seen.append(inputs[0].shape))
    head.logits(head.encode_support(support, mask), support[:, 0])
    assert seen == [(1, 1, 16, 16, 4, 4), (1, 1, 4, 4, 4, 4)]


def test_the_shots_that_show_the_class_are_averaged():
    head = make(4)
    support, masks, query, _ = two_colour_task(shot=3)
    masks = masks.clone()
    masks[:, :, 2] = 0
    found = head.logits(head.encode_support(support, masks), query)
    single = [
        head.logits(head.encode_support(support[:, :, [s]], masks[:, :, [s]]), query)
        for s in (0, 1)
    ]
    torch.testing.assert_close(found, (single[0] + single[1]) / 2, atol=1e-5, rtol=1e-4)


def test_enlarging_the_query_interpolates_its_axes_alone():
    volume = torch.rand(1, 2, 3, 4, 2, 3)
    found = enlarge_query(volume, (6, 8))
    for s in range(2):
        for t in range(3):
            expected = functional.interpolate(
                volume[..., s, t], size=(6, 8), mode="bilinear", align_corners=False
            )
            torch.testing.assert_close(found[..., s, t], expected)


def test_training_teaches_it_to_read_correlations():
    assert share_right_after(make(4, HSNetSettings(width=4, blocks=2)), 15) > 0.9


def test_decoding_keeps_the_grid():
    """Kernels of 3 x 3 with a border of 1, as published: two logits of a cell lie where it does."""
    head = HSNetHead(HSNetSettings(width=4, blocks=2), (Level(8, 16), Level(16, 16)))
    channels = 4 * 2
    assert head.decode(torch.zeros(2, channels, 5, 7)).shape == (2, 1, 5, 7)
    assert [conv.kernel_size for conv in head.decode[::2]] == [(3, 3), (3, 3), (1, 1)]
