"""The extras that need care to install are there and work."""

import pytest
import torch


@pytest.mark.filterwarnings("ignore")  # it imports gym, which warns of itself
def test_learn2learn_adapts_a_model():
    import learn2learn

    model = torch.nn.Linear(2, 1)
    learner = learn2learn.algorithms.MAML(model, lr=0.1)
    clone = learner.clone()
    clone.adapt(clone(torch.ones(1, 2)).square().sum())
    assert not torch.equal(clone.module.weight, model.weight)
    clone(torch.ones(1, 2)).sum().backward()
    assert model.weight.grad is not None
