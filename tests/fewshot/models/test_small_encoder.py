"""The small network, pooling by places, and centred embeddings."""

import pytest
import torch

from episodes.errors import ModelError
from fewshot.models.embedding_network import (
    EmbeddingNetwork,
    EmbeddingSettings,
    load_embedding,
    save_embedding,
)
from fewshot.models.small_encoder import ResidualBlock, SmallEncoder, SmallSettings
from fewshot.models.stroke_augmentation import InkSettings

TINY = SmallSettings((4, 6, 8), (1, 1))


def network(**changes) -> EmbeddingNetwork:
    return EmbeddingNetwork(
        EmbeddingSettings(**{"encoder": TINY, "size": 32, "dim": 5, "pooling": "grid", **changes})
    )


def images(count=3, channels=1):
    return torch.rand(count, channels, 32, 32, generator=torch.Generator().manual_seed(0))


def test_one_place_in_eight_pixels_and_weights_by_seed():
    first, again, other = (SmallEncoder(TINY, seed).eval() for seed in (1, 1, 2))
    found = first(images())
    assert found.shape == (3, 8, 4, 4)
    assert found.dtype == torch.float32
    assert found.min() >= 0
    assert torch.equal(again(images()), found)
    assert not torch.equal(other(images()), found)
    with pytest.raises(ModelError, match="30 x 32 pixels; expected multiples of 8"):
        first(torch.zeros(1, 1, 30, 32))


def test_colour_is_seen_or_averaged():
    colours = images(channels=3)
    grey = SmallEncoder(TINY).eval()
    torch.testing.assert_close(grey(colours), grey(colours.mean(dim=1, keepdim=True)))
    seen = SmallEncoder(SmallSettings((4, 6, 8), (1, 1), colour=True)).eval()
    assert not torch.allclose(seen(colours), seen(colours.flip(1)))
    torch.testing.assert_close(seen(images()), seen(images().expand(-1, 3, -1, -1)))


def test_a_block_begins_as_its_shortcut():
    features = torch.rand(2, 4, 6, 6)
    torch.testing.assert_close(ResidualBlock(4, 4, stride=1).eval()(features), features)


def test_statistics_are_learned_in_training_alone():
    model = network(centred=True)
    before = {name: t.clone() for name, t in model.state_dict().items() if "running_mean" in name}
    model.embed(images())
    assert all(torch.equal(model.state_dict()[name], t) for name, t in before.items())
    model.train()(images())
    assert all(not torch.equal(model.state_dict()[name], t) for name, t in before.items())
    assert "centre.running_mean" in before


def test_the_grid_tells_places_apart_that_an_average_does_not():
    picture = torch.zeros(1, 1, 32, 32)
    picture[..., 8:16, 8:16] = 1
    moved = picture.roll((8, 8), (-2, -1))  # by one place of the grid, away from the edges
    average, grid = (network(pooling=p, dim=0).eval() for p in ("average", "grid"))
    assert (grid.dim, average.dim) == (8 * 16, 8)
    near = (average.embed(picture) @ average.embed(moved).T).item()
    apart = (grid.embed(picture) @ grid.embed(moved).T).item()
    assert near > 0.99 > 0.95 > apart
    with pytest.raises(ModelError, match="a region has no place"):
        grid(picture, torch.ones(1, 32, 32))
    with pytest.raises(ModelError, match="'grid' needs images of 32 pixels"):
        grid(torch.zeros(1, 1, 64, 64))


@pytest.mark.parametrize(
    "changes", [{}, {"centred": True}, {"ink": InkSettings(16)}, {"pooling": "average"}]
)
def test_what_is_saved_embeds_the_same(changes, tmp_path):
    model = network(**changes)
    model.train()(images())  # statistics of its own
    loaded = load_embedding(save_embedding(model, tmp_path))
    assert loaded.settings == model.settings
    assert loaded.fingerprint() == model.fingerprint()
    assert torch.equal(loaded.embed(images()), model.embed(images()))


def test_prints_differ_by_what_embeddings_depend_on():
    kinds = ({}, {"centred": True}, {"ink": InkSettings(32)}, {"ink": InkSettings(32, evened=1.0)})
    assert len({network(**kind).fingerprint() for kind in kinds}) == 4


@pytest.mark.parametrize(
    "make",
    [
        lambda: SmallSettings((4,), ()),
        lambda: SmallSettings((4, 4), (1, 1)),
        lambda: SmallSettings((4, 0), (1,)),
        lambda: EmbeddingSettings(TINY, size=36),
        lambda: EmbeddingSettings(TINY, size=64, ink=InkSettings(20)),
    ],
)
def test_settings_that_make_no_sense(make):
    with pytest.raises(ModelError, match="expected"):
        make()
