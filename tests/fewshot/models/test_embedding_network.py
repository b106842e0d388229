import json

import pytest
import torch
from torch.nn import functional

from episodes.errors import ModelError
from fewshot.models.embedding_network import (
    EmbeddingNetwork,
    EmbeddingSettings,
    load_embedding,
    save_embedding,
)
from fewshot.models.encoder import EncoderSettings
from fewshot.models.pooling import average_pool, generalised_mean_pool, region_weights

RANDOM = EncoderSettings(weights="none")


def network(**changes) -> EmbeddingNetwork:
    torch.manual_seed(0)
    return EmbeddingNetwork(EmbeddingSettings(**{"encoder": RANDOM, "size": 64, **changes}))


def images(count=2, seed=0):
    return torch.rand(count, 1, 64, 64, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("pooling", ["average", "generalised"])
def test_pooling_a_region_is_pooling_its_positions(pooling):
    pool = {"average": average_pool, "generalised": lambda *a: generalised_mean_pool(*a, 3.0)}
    features = torch.rand(2, 5, 4, 4)
    masks = torch.zeros(2, 4, 4, dtype=torch.uint8)
    masks[0, 1:3, :2], masks[1, 0, 0], masks[1, 3] = 1, 1, 255
    inside = pool[pooling](features, region_weights(masks, features))
    for item in range(2):
        chosen = features[item][:, masks[item] == 1]
        power = 3 if pooling == "generalised" else 1
        expected = (chosen**power).mean(dim=1) ** (1 / power)
        torch.testing.assert_close(inside[item], expected)
    whole = pool[pooling](features, region_weights(None, features))
    everything = pool[pooling](features, region_weights(torch.ones(2, 8, 8), features))
    torch.testing.assert_close(whole, everything)


def test_generalised_mean_goes_from_average_to_maximum_and_never_underflows():
    features = torch.tensor([[[[1e-5, 2e-5], [4e-5, 8e-5]]]])
    weights = region_weights(None, features)
    assert generalised_mean_pool(features, weights, 1.0).item() == pytest.approx(3.75e-5, rel=1e-4)
    assert generalised_mean_pool(features, weights, 99.0).item() == pytest.approx(8e-5, rel=0.02)


def test_the_power_of_the_mean_is_learned():
    model = network(pooling="generalised")
    model(images()).sum().backward()
    assert model.log_power.grad.abs() > 0
    assert model.log_power.exp().item() == pytest.approx(3.0)
    features = torch.rand(1, 2, 3, 3, dtype=torch.float64, requires_grad=True)
    weights = region_weights(torch.ones(1, 3, 3), features).double()
    power = torch.tensor(2.5, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(
        lambda f, p: generalised_mean_pool(f, weights, p), (features, power)
    )


@pytest.mark.parametrize("pooling", ["average", "generalised"])
@pytest.mark.parametrize("normalise", [True, False])
def test_an_empty_region_is_zero_with_a_finite_gradient(pooling, normalise):
    model = network(pooling=pooling, normalise=normalise)
    masks = torch.ones(2, 64, 64, dtype=torch.uint8)
    masks[1] = 255
    embeddings = model(images(), masks)
    assert (embeddings[1] == 0).all()
    assert embeddings[0].norm() > 0
    embeddings.square().sum().backward()
    assert all(p.grad.isfinite().all() for p in model.parameters() if p.grad is not None)


@pytest.mark.parametrize("dim", [0, 16])
def test_shapes_and_lengths(dim):
    model = network(dim=dim)
    embeddings = model.embed(images())
    assert embeddings.shape == (2, model.dim) == (2, dim or model.encoder.features)
    torch.testing.assert_close(embeddings.norm(dim=1), torch.ones(2))
    assert embeddings.is_inference()
    assert model.training
    assert not torch.allclose(network(normalise=False).embed(images()).norm(dim=1), torch.ones(2))


def test_both_images_of_a_pair_pass_through_one_network_and_masks_change_what_is_seen():
    model = network()
    both = model.embed(images(2))
    alone = torch.cat([model.embed(images(2)[:1]), model.embed(images(2)[1:])])
    assert functional.cosine_similarity(both, alone).min() > 0.999
    left = torch.zeros(2, 64, 64)
    left[:, :, :24] = 1
    assert not torch.allclose(model.embed(images(2), left), both, atol=1e-3)


def test_the_first_projection_nearly_keeps_angles_and_depends_on_the_seed_alone():
    weight = network(dim=64).projection.weight
    torch.testing.assert_close(weight @ weight.T, torch.eye(64), atol=1e-5, rtol=0)
    torch.manual_seed(9)
    again = EmbeddingNetwork(EmbeddingSettings(RANDOM, dim=64, size=64)).projection.weight
    assert torch.equal(weight, again)
    assert not torch.equal(weight, network(dim=64, seed=1).projection.weight)


@pytest.mark.parametrize("pooling", ["average", "generalised"])
def test_a_folder_gives_back_the_same_network(tmp_path, pooling):
    model = network(pooling=pooling, dim=8)
    save_embedding(model, tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"embedding.json", "model.safetensors"}
    loaded = load_embedding(tmp_path)
    assert torch.equal(loaded.embed(images()), model.embed(images()))
    assert loaded.fingerprint() == model.fingerprint()
    assert loaded.fingerprint() != network(pooling=pooling, dim=9).fingerprint()
    assert not loaded.training


def test_damaged_folders_are_refused(tmp_path):
    with pytest.raises(ModelError, match=r"embedding\.json is missing"):
        load_embedding(tmp_path)
    save_embedding(network(dim=8), tmp_path)
    content = json.loads((tmp_path / "embedding.json").read_text())
    for changes, said in (
        ({"dim": 9}, "does not fit"),
        ({"format": 99}, "does not describe"),
        ({"colour": 1}, "does not describe"),
    ):
        (tmp_path / "embedding.json").write_text(json.dumps({**content, **changes}))
        with pytest.raises(ModelError, match=said):
            load_embedding(tmp_path)


@pytest.mark.parametrize("changes", [{"dim": -1}, {"size": 60}, {"size": 16}], ids=str)
def test_settings_are_checked(changes):
    with pytest.raises(ModelError, match="expected"):
        EmbeddingSettings(**changes)
