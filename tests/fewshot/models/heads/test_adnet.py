import pytest
import torch
from torch.nn import functional

from episodes.sampling.episode import EpisodeBatch
from fewshot.inference.segmenter import Segmenter
from fewshot.models.heads import ADNetHead, ADNetSettings, Support
from fewshot.models.heads.adnet import refined
from fewshot.models.network import NetworkSettings
from fewshot.training.objective import EpisodeObjective
from tests.fewshot.models.heads.family import TINY, check_head, two_colour_task

QUERY_INFORMED = ADNetSettings("query", coarse=0.1, refinements=2)


@pytest.mark.parametrize("settings", [ADNetSettings(), QUERY_INFORMED])
def test_contract(settings):
    check_head(lambda features: ADNetHead(settings, features).eval())


def test_one_way_is_the_papers_probability_pixel_by_pixel():
    support, masks, query, _ = two_colour_task(batch=1)
    head = ADNetHead()
    logits = head.logits(head.encode_support(support, masks), query)
    features, mask = support[0, 0, 0], masks[0, 0, 0] == 1
    prototype = sum(features[:, r, c] for r, c in mask.nonzero()) / (mask.sum() + 1e-5)
    for row, column in ((0, 0), (3, 17), (31, 31)):
        s = -20 * functional.cosine_similarity(query[0, 1, :, row, column], prototype, dim=0)
        p = 1 - torch.sigmoid(0.5 * (s - -10.0))
        shares = logits[0, 1, :, row, column].softmax(dim=0)
        torch.testing.assert_close(shares, torch.stack([1 - p, p]), atol=1e-4, rtol=1e-4)


def test_each_way_keeps_its_odds_against_the_background():
    support, masks, query, _ = two_colour_task(way=3)
    head = ADNetHead()
    together = head.logits(head.encode_support(support, masks), query)
    for way in range(3):
        one = head.logits(head.encode_support(support[:, [way]], masks[:, [way]]), query)
        torch.testing.assert_close(together[:, :, [0, way + 1]], one)


def test_thresholds_by_hand():
    """T of a query is linear in its mean; a map of one colour is alike at both scales."""
    features = torch.tensor([[0.6, 0.8], [1.0, 0.0]])[None, :, :, None, None].expand(1, 2, 2, 4, 6)
    head = ADNetHead(ADNetSettings("query", start=-8.0, coarse=0.25), 2)
    with torch.no_grad():
        head.layer.weight.copy_(torch.tensor([[1.0, 2.0], [0.0, -4.0]]))
    expected = torch.tensor([[[-8 + 2.2, -8 - 3.2], [-7.0, -8.0]]])
    torch.testing.assert_close(head.thresholds(features), expected)
    ones = torch.ones(1, 1, 1, 4, 6, dtype=torch.uint8)
    logits = head.logits(head.encode_support(features[:, None, 1:], ones), features)
    cosines = torch.tensor([0.6, 1.0])
    mixed = 0.75 * expected[0, :, 0] + 0.25 * expected[0, :, 1]
    torch.testing.assert_close(logits[0, :, 1, 1, 2], 0.5 * (mixed + 20 * cosines))
    assert head.auxiliary_loss(Support({}), features).item() == pytest.approx(expected.mean() / 20)


def test_refinement_by_hand_and_at_test_alone():
    prototypes = torch.tensor([1.0, 0.0]).expand(1, 1, 2, 2)
    unit = torch.zeros(1, 1, 2, 1, 2)
    unit[0, 0, 1] = 1.0
    sure = torch.tensor([[True, False], [False, False]])[None, None, :, None]
    found = refined(prototypes, unit, sure)
    torch.testing.assert_close(found[0, 0, 0], torch.full((2,), 0.5**0.5))
    torch.testing.assert_close(found[0, 0, 1], prototypes[0, 0, 1])


def test_refinement_follows_a_query_whose_colours_have_drifted():
    support, masks, query, truth = two_colour_task()
    query = query + 0.75 * query.flip(2)  # further channels, in which the support has nothing
    plain, refining = (ADNetHead(ADNetSettings(refinements=n)) for n in (0, 3))
    condensed = plain.encode_support(support, masks)
    before = plain.eval().logits(condensed, query)[:, :, 1]
    assert torch.equal(refining.train().logits(condensed, query)[:, :, 1], before)
    after = refining.eval().logits(condensed, query)[:, :, 1]
    inside = (truth == 1).expand_as(after)
    assert after[inside].mean() > before[inside].mean() + 1


def test_the_length_of_features_plays_no_part_in_refinement():
    support, masks, query, _ = two_colour_task()
    generator = torch.Generator().manual_seed(0)
    query = query + 0.75 * query.flip(2) + 0.5 * torch.rand(query.shape, generator=generator)
    plain, refining = (ADNetHead(ADNetSettings(refinements=n)).eval() for n in (0, 3))
    condensed = plain.encode_support(support, masks)
    lengths = 0.5 + torch.rand(query[:, :, :1].shape, generator=generator)  # one a position
    expected = refining.logits(condensed, query)
    assert not torch.allclose(expected, plain.logits(condensed, query), atol=0.1)
    torch.testing.assert_close(refining.logits(condensed, query * lengths), expected)


def test_training_minimises_the_published_loss():
    """Weights 0.1 and 1 in queries and alignment alike, plus T / 20."""
    segmenter = Segmenter(NetworkSettings(TINY, ADNetSettings(start=-15.0), size=64))
    images = torch.rand(1, 1, 1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    masks = torch.zeros(1, 1, 1, 64, 64, dtype=torch.uint8)
    masks[..., 10:40, 10:40] = 1
    masks[..., 60:] = 255
    batch = EpisodeBatch(images, masks, images[:, 0], masks[:, 0], plans=())
    losses = EpisodeObjective(segmenter.network, 1.0)(batch)
    parts = losses["query_loss"] + losses["auxiliary_loss"] + losses["alignment_loss"]
    torch.testing.assert_close(losses["loss"], parts)
    assert losses["auxiliary_loss"].item() == pytest.approx(-15 / 20)
    chances = segmenter.network(images, masks, images[:, 0])[0].log_softmax(dim=1)
    expected = functional.nll_loss(
        chances, masks[0, 0].long(), torch.tensor([0.1, 1.0]), ignore_index=255
    )
    torch.testing.assert_close(losses["query_loss"], expected)
