import pytest
import torch

from fewshot.experiments.train import make_head_settings
from fewshot.models.checkpoint import build_network
from fewshot.models.heads import ADNetSettings, Support
from fewshot.models.heads.base import head_name
from fewshot.models.network import NetworkSettings
from fewshot.registry import HEADS
from fewshot.training.episodic import episode_task
from tests.fewshot.models.heads.family import TINY


@pytest.mark.parametrize("name", HEADS.names())
def test_every_name_stands_for_a_head_that_can_be_saved(name):
    settings = make_head_settings(name)
    assert head_name(settings) == name
    head = build_network(NetworkSettings(TINY, settings, 64)).head
    assert head.settings == settings


class NoEpisodes:
    def episode(self, index):
        raise AssertionError(f"episode {index} was asked for")


def test_a_head_that_has_weights_of_its_own_hands_them_to_training():
    network = build_network(NetworkSettings(TINY, ADNetSettings(), 64))
    assert network.head.class_weights == (0.1, 1.0)
    assert _weights(network) is None
    assert _weights(network, (0.05, 1.0)) == (0.05, 1.0)


def _weights(network, *given):
    return episode_task(network, NoEpisodes(), 1.0, *given).objective.class_weights


def test_the_heads_of_the_package_have_these_names():
    own = {name for name in HEADS.names() if HEADS.module_of(name).startswith("fewshot.")}
    assert own == {
        *("adnet", "alpnet", "anil", "fine-tuning", "fomaml", "gaussian", "gaussian-diagonal"),
        *("hsnet", "insid3", "kmeans-prototypes", "logistic", "maml", "meta-sgd"),
        *(
            "mixture-prototypes",
            "nearest-neighbours",
            "panet",
            "panet-euclidean",
            "pfenet-prior",
            "qnet",
            "reptile",
        ),
        *("ridge", "universeg"),
    }


def test_a_support_is_shown_without_its_numbers():
    """Thousands of numbers would hide what a message is about."""
    tensors = {"prototypes": torch.tensor([0.125])}
    support = Support(tensors, ("cell",), (1,), shots=tensors, mirrored=Support(tensors))
    assert repr(support).startswith("Support(class_names=('cell',), values=(1,)")
    assert "0.125" not in repr(support)


def test_what_training_and_export_need_to_know_of_each_head():
    heads = {name: entry.head for name, entry in HEADS.parts().items()}
    gradient = {"fine-tuning", "fomaml", "maml", "meta-sgd", "reptile"}

    def those(attribute):
        return {name for name, head in heads.items() if getattr(head, attribute)}

    assert heads.keys() - those("trainable") == {"insid3"}
    assert those("balanced") == {"anil", "logistic", "ridge"}
    assert heads.keys() - those("takes_coordinates") == {"hsnet", *gradient}
    assert those("not_exportable") == {"insid3", *gradient}
    assert those("counts_features") == {"adnet", "qnet", "anil", "universeg", *gradient}
