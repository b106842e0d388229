import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from episodes import bundled
from episodes.catalog.catalog import Catalog
from episodes.catalog.class_areas import compute_class_areas
from episodes.catalog.loader import Loader
from episodes.errors import DataError
from episodes.readers import read_catalog
from fewshot.losses import WeightedSum, cross_entropy_loss, dice_loss
from fewshot.training.loop import train
from fewshot.training.settings import TrainSettings
from fewshot.training.supervised import supervised_task


@pytest.fixture(scope="module")
def brain():
    return compute_class_areas(read_catalog(bundled.path("brain"))).filter(
        lambda sample: 15 < sample.image.plane < 28
    )


def network(classes: int) -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 16, 5, stride=2, padding=2), nn.ReLU(), nn.Conv2d(16, classes + 1, 1)
    )


def test_a_network_learns_tissues_with_several_losses(brain, tmp_path):
    model = network(len(brain.classes))
    loss = WeightedSum([(1.0, cross_entropy_loss), (0.5, dice_loss)])
    task = supervised_task(model, brain, Loader(64), loss=loss)
    before = task.objective(task.load([0, 1]))["loss"].item()
    settings = TrainSettings(minutes=0, steps=60, batch=4, learning_rate=0.02)
    train(task, settings, tmp_path, progress=False)
    assert task.objective(task.load([0, 1]))["loss"].item() < 0.6 * before
    stored = load_file(tmp_path / "model.safetensors")
    assert torch.equal(stored["0.weight"], model[0].weight)


def test_every_image_comes_once_a_turn_and_items_are_pure(brain):
    seen = []

    def watch(image, labels, generator):
        seen.append(float(image.sum()))
        return image, labels

    task = supervised_task(network(2), brain, Loader(64), transform=watch, seed=3)
    count = len(brain)
    first, second = task.load(range(count)), task.load(range(count, 2 * count))
    assert sorted(seen[:count]) == sorted(seen[count:])
    assert seen[:count] != seen[count:]
    assert len(set(seen)) == count
    again = task.load(range(count))
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert first[0].shape == second[0].shape == (count, 3, 64, 64)


def test_nothing_to_learn_is_an_error(brain):
    with pytest.raises(DataError, match="0 classes"):
        supervised_task(network(1), Catalog(brain.samples, ()), Loader(64))
