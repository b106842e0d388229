import numpy as np
import pytest
import torch

from episodes.errors import DataError, ModelError
from fewshot.inference.ensemble import fuse, similarity_weights
from tests.fewshot.conftest import disc_scene


def answers(seed: int = 0, supports: int = 3) -> torch.Tensor:
    return 2 * torch.randn(supports, 2, 3, 4, 5, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("how", ["probabilities", "logits", "majority", "weighted"])
def test_fusing_is_what_a_slow_loop_computes(how):
    given = answers()
    weights = torch.tensor([[0.5, 0.2], [0.3, 0.2], [0.2, 0.6]])
    found = fuse(given, how, weights if how == "weighted" else None).softmax(dim=1)
    shares = given.softmax(dim=2).numpy()
    for query, row, column in np.ndindex(2, 4, 5):
        each = shares[:, query, :, row, column]
        expected = {
            "probabilities": each.mean(axis=0),
            "logits": np.exp(np.log(each).mean(axis=0)),
            "majority": np.bincount(each.argmax(axis=1), minlength=3).astype(float),
            "weighted": weights[:, query].numpy() @ each,
        }[how]
        np.testing.assert_allclose(
            found[query, :, row, column], expected / expected.sum(), atol=1e-5
        )


@pytest.mark.parametrize("how", ["probabilities", "logits"])
def test_one_support_alone_comes_back_as_it_is(how):
    given = answers(supports=1)
    assert torch.equal(fuse(given, how), given[0])
    same = fuse(torch.cat([given, given]), how).softmax(dim=1)
    torch.testing.assert_close(same, given[0].softmax(dim=1), atol=1e-5, rtol=1e-4)


def test_one_sure_support_outvotes_two_unsure_ones_but_not_by_majority():
    given = torch.tensor([[0.0, 6.0], [0.4, 0.0], [0.4, 0.0]])[..., None, None]
    assert fuse(given).argmax(dim=0).item() == 1
    assert fuse(given, "majority").argmax(dim=0).item() == 0


def test_the_most_similar_support_weighs_most():
    supports = torch.eye(3)
    queries = torch.tensor([[0.0, 2.0, 0.1], [1.0, 1.0, 1.0]])
    found = similarity_weights(supports, queries)
    assert found.shape == (3, 2)
    assert found[:, 0].argmax() == 1
    torch.testing.assert_close(found[:, 1], torch.full((3,), 1 / 3))


@pytest.mark.parametrize(("how", "weights"), [("weighted", None), ("logits", torch.ones(3, 2))])
def test_weights_belong_to_weighted_alone(how, weights):
    with pytest.raises(ValueError, match="weights belong"):
        fuse(answers(), how, weights)


def test_a_segmenter_fuses_supports(segmenter):
    supports = [
        segmenter.learn(image, labels == 1, size=64)
        for image, labels in (disc_scene(seed) for seed in (0, 1))
    ]
    query = disc_scene(2)[0]
    single = [segmenter.segment(query, support).probabilities for support in supports]
    fused = segmenter.segment(query, supports, fuse="probabilities")
    between = np.stack([fused.probabilities[1], single[0][1], single[1][1]]).astype(float)
    inside = (between[0] >= between[1:].min(axis=0) - 0.05) & (
        between[0] <= between[1:].max(axis=0) + 0.05
    )
    assert inside.mean() > 0.9  # enlarging logits bends the mean a little
    segmenter.segment(query, supports, fuse="weighted")
    with pytest.raises(ModelError, match="no support"):
        segmenter.segment(query, [])
    other = segmenter.learn(*disc_scene(0), {1: "disc", 2: "bar"}, size=64)
    with pytest.raises(ModelError, match="differ in classes or size"):
        segmenter.segment(query, [supports[0], other])


def test_fused_supports_have_to_show_every_class():
    from fewshot.inference.support_set import read_support_set

    image, labels = disc_scene(0)
    shots = read_support_set([image, image], [labels, labels == 1], {1: "disc", 2: "bar"})
    with pytest.raises(DataError, match="does not show bar"):
        shots.split()
    assert len(read_support_set([image] * 2, [labels] * 2, {1: "disc", 2: "bar"}).split()) == 2
