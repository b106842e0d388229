from dataclasses import replace

import torch
from torch.nn import functional

from fewshot.models.heads import UniverSegHead, UniverSegSettings
from fewshot.models.heads.universeg import CrossBlock
from tests.fewshot.models.heads.family import check_head, two_colour_task
from tests.fewshot.models.heads.training import share_right_after

TINY = UniverSegSettings(width=6, depth=3)


def make(features, settings=TINY):
    torch.manual_seed(0)
    return UniverSegHead(settings, features)


def test_contract():
    check_head(make, learned=True)


def cross_convolution(block, query, entries):
    """The mean over the entries of one convolution of [query, entry], laid on one another."""
    weight = torch.cat([block.from_query.weight, block.from_support.weight], dim=1)
    return torch.stack(
        [
            functional.conv2d(torch.cat([query, entry]), weight, block.from_query.bias, padding=1)
            for entry in entries
        ]
    ).mean(dim=0)


def test_reading_the_mean_equals_convolving_with_every_entry():
    torch.manual_seed(0)
    block = CrossBlock(3, 5, 4)
    query, entries = torch.randn(3, 6, 6), torch.randn(7, 5, 6, 6)
    found = block.from_query(query) + block.from_support(entries).mean(dim=0)
    torch.testing.assert_close(
        found, cross_convolution(block, query, entries), atol=1e-5, rtol=1e-5
    )


def test_the_whole_u_equals_its_definition_entry_by_entry():
    head = make(4)
    torch.nn.init.normal_(head.blocks[0].support_bias)
    support, masks, query, _ = two_colour_task(shot=3, batch=1, query=1)
    found = head.logits(head.encode_support(support, masks), query)
    blocks, depth = list(head.blocks), head.settings.depth

    def embed(features):
        return functional.conv2d(2.0 * features, head.embed.weight, head.embed.bias)  # 2 = √4

    u = embed(query[0, 0])
    entries = []
    for features, mask in zip(support[0, 0], masks[0, 0], strict=True):
        known = (mask != 255).float()
        share = torch.stack([(mask == 1).float(), (mask == 0).float()])
        entries.append(torch.cat([embed(features * known) * known, share]))
    skips = []
    for number, block in enumerate(blocks):
        if 0 < number < depth:
            u = functional.max_pool2d(u, 2)
            entries = [functional.max_pool2d(v, 2) for v in entries]
        if number >= depth:
            skip_u, skip_entries = skips[2 * depth - 2 - number]
            u, *entries = (
                torch.cat([functional.interpolate(x[None], scale_factor=2, mode="bilinear")[0], y])
                for x, y in zip([u, *entries], [skip_u, *skip_entries], strict=True)
            )
        crossed = cross_convolution(block, u, entries)
        u = leaky(block.query_out(leaky(crossed)))
        if block is not blocks[-1]:
            entries = [
                leaky(block.support_out(leaky(block.from_support(v) + block.support_bias)))
                for v in entries
            ]
        skips.append((u, entries))
    torch.testing.assert_close(found[0, 0, 1], head.out(u)[0], atol=1e-5, rtol=1e-4)
    assert (found[0, 0, 0] == 0).all()


def leaky(x):
    return torch.where(x > 0, x, 0.01 * x)


def test_what_is_kept_does_not_grow_with_the_shots():
    head = make(4)
    sizes = []
    for shot in (1, 5):
        support, masks, _, _ = two_colour_task(shot=shot)
        tensors = head.encode_support(support, masks).tensors
        sizes.append({name: tensor.shape for name, tensor in tensors.items()})
    assert sizes[0] == sizes[1]


def test_a_support_of_another_size_is_stretched_over_the_query():
    torch.manual_seed(0)
    head = UniverSegHead(UniverSegSettings(width=6, depth=1), 4)
    support, masks, query, _ = two_colour_task()
    condensed = head.encode_support(support[..., :16, :], masks[..., :16, :])
    crossed = functional.interpolate(
        condensed.tensors["block_0"][:, 0], size=(32, 32), mode="bilinear"
    )
    stretched = replace(condensed, tensors={**condensed.tensors, "block_0": crossed[:, None]})
    torch.testing.assert_close(head.logits(condensed, query), head.logits(stretched, query))


def test_all_weights_are_used():
    """A weight without a gradient would stop training in several processes."""
    head = make(4)
    support, masks, query, _ = two_colour_task()
    head.logits(head.encode_support(support, masks), query).square().sum().backward()
    assert all(weight.grad is not None for weight in head.parameters())


def test_training_teaches_it_to_segment():
    assert share_right_after(make(4, UniverSegSettings(width=8, depth=3)), 15) > 0.9
