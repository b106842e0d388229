import pytest
import torch

from episodes.errors import FewshotError, ModelError
from fewshot.inference.preprocess import fit_images, fit_masks
from fewshot.inference.segmenter import Segmenter
from fewshot.inference.support_set import read_support_set
from fewshot.inference.test_time_training import (
    TestTimeSettings,
    _labels,
    _loss,
    _pseudo_episode,
    adapt_to_shots,
    adapt_to_support,
)
from fewshot.models.checkpoint import build_network
from fewshot.models.encoder import EncoderSettings
from fewshot.models.heads import GradientSettings, PANetSettings
from fewshot.models.meta_learning import GradientNetwork
from fewshot.models.network import NetworkSettings
from tests.fewshot.conftest import disc_scene

PLAIN = EncoderSettings(weights="none")


@pytest.fixture(scope="module")
def shots():
    scenes = [disc_scene(seed, 64) for seed in (0, 1)]
    return read_support_set(
        [image for image, _ in scenes], [labels for _, labels in scenes], {1: "disc", 2: "bar"}
    )


@pytest.fixture(scope="module")
def start():
    torch.manual_seed(0)
    settings = NetworkSettings(EncoderSettings(), PANetSettings(), size=64)
    return build_network(settings)


def given(shots):
    return torch.cat(list(fit_images(shots, 64))), fit_masks(shots, 64)


def test_a_few_steps_lower_the_loss_on_the_support(start, shots):
    """The original is unchanged, the copy fits fresh pseudo-episodes of the same support better."""
    import numpy as np

    before = {name: tensor.clone() for name, tensor in start.state_dict().items()}
    settings = TestTimeSettings(steps=6, rate=3e-3)
    adapted = adapt_to_support(start, *given(shots), settings)
    for name, tensor in start.state_dict().items():
        assert torch.equal(tensor, before[name]), name
    assert adapted.fingerprint() != start.fingerprint()
    assert not adapted.training
    assert all(weight.requires_grad for weight in adapted.parameters())

    def loss(network):
        generator = np.random.default_rng(1234)
        with torch.no_grad():
            parts = [_pseudo_episode(*given(shots), 2, generator) for _ in range(3)]
            return sum(float(_loss(network, *part)) for part in parts)

    assert loss(adapted) < 0.95 * loss(start)


def test_the_seed_decides_and_zero_steps_change_nothing(start, shots):
    one, two = (
        adapt_to_shots(Segmenter(start), shots, TestTimeSettings(steps=1, queries=1), size=64)
        for _ in "ab"
    )
    assert one.network.fingerprint() == two.network.fingerprint()
    other = adapt_to_shots(
        Segmenter(start), shots, TestTimeSettings(steps=1, queries=1, seed=1), size=64
    )
    assert other.network.fingerprint() != one.network.fingerprint()
    same = adapt_to_shots(Segmenter(start), shots, TestTimeSettings(steps=0), size=64)
    assert same.network.fingerprint() == start.fingerprint()


def test_norms_leave_all_other_weights_alone(start, shots):
    adapted = adapt_to_support(start, *given(shots), TestTimeSettings(steps=1, queries=1))
    for (name, now), then in zip(adapted.named_parameters(), start.parameters(), strict=True):
        if now.ndim > 1:
            assert torch.equal(now, then), name


def test_the_time_ends_it(start, shots, monkeypatch):
    clock = iter([0.0, 0.0, 5.0, 11.0, 99.0])
    monkeypatch.setattr("fewshot.inference.test_time_training.time.monotonic", lambda: next(clock))
    steps = []
    monkeypatch.setattr(
        "fewshot.inference.test_time_training._loss",
        lambda network, *_: (
            steps.append(0) or sum(w.sum() * 0 for w in network.parameters() if w.requires_grad)
        ),
    )
    adapt_to_support(start, *given(shots), TestTimeSettings(steps=50, seconds=10))
    assert len(steps) == 2  # begun at 0 and at 5 seconds


def test_labels_and_masks_are_two_forms_of_one(shots):
    images, masks = given(shots)
    labels = _labels(masks)
    assert set(labels.unique().tolist()) == {0, 1, 2}
    unknown = masks.clone()
    unknown[:, 0, :8] = 255
    assert (_labels(unknown)[0, :8] == 255).all()
    assert len(images) == 2


def test_what_cannot_be_adapted_is_refused(shots):
    gradient = GradientNetwork(NetworkSettings(PLAIN, GradientSettings(), 64))
    with pytest.raises(ModelError, match="test_steps"):
        adapt_to_shots(Segmenter(gradient), shots, size=64)
    for name, value in (("steps", -1), ("queries", 0), ("rate", 0.0), ("seconds", float("nan"))):
        with pytest.raises(FewshotError, match=name):
            TestTimeSettings(**{name: value})
