"""What the version before heads got their present names saved: models, supports, fingerprints."""

import hashlib
import json

import pytest
import torch
from safetensors.torch import save_file

from fewshot.models.checkpoint import build_network, load_network, load_support, save_network
from fewshot.models.heads import (
    ADNetSettings,
    ALPNetSettings,
    ANILSettings,
    GaussianSettings,
    GradientSettings,
    HSNetSettings,
    INSID3Settings,
    MixturePrototypesSettings,
    NearestNeighboursSettings,
    PANetSettings,
    PFENetPriorSettings,
    RidgeSettings,
    UniverSegSettings,
)
from fewshot.models.network import NetworkSettings
from fewshot.registry import HEADS
from tests.fewshot.models.heads.family import TINY

# As that version wrote them: the head's settings in segmenter.json, and their repr.
LEARNED = (
    "threshold",
    "ThresholdSettings(source='query', start=-10.0, scale=20.0, steepness=0.5, coarse=0.1, "
    "refinements=2, confidence=0.9, class_weights=(0.1, 1.0), penalty=0.05)",
)
SAVED = [
    (ALPNetSettings(3), "local", "LocalSettings(window=3, purity=0.95, scale=20.0, most=1024)"),
    (
        PANetSettings("euclidean"),
        "prototypical",
        "PrototypicalSettings(distance='euclidean', scale=20.0)",
    ),
    (
        HSNetSettings(),
        "correlation",
        "CorrelationSettings(query_side=32, support_side=16, width=8, blocks=3, certain=20.0)",
    ),
    (
        INSID3Settings(),
        "matching",
        "MatchingSettings(side=32, similarity=0.6, keep=0.2, directions=0, scale=10.0, "
        "certain=20.0)",
    ),
    (UniverSegSettings(8, 2), "cross", "CrossSettings(width=8, depth=2, certain=20.0)"),
    (ADNetSettings("query", coarse=0.1, refinements=2), *LEARNED),
    (
        MixturePrototypesSettings(2, 3, "hard"),
        "clustered",
        "ClusteredSettings(classes=2, background=3, assignment='hard', concentration=20.0, "
        "iterations=10, score='mean', scale=20.0)",
    ),
    (PFENetPriorSettings(), "prior", "PriorSettings(threshold=0.7, scale=20.0, most=1024)"),
    (
        GaussianSettings("diagonal"),
        "gaussian",
        "GaussianSettings(covariance='diagonal', shrinkage=None, scale=1.0)",
    ),
    (
        RidgeSettings("logistic"),
        "ridge",
        "RidgeSettings(loss='logistic', regularisation=0.01, steps=5, scale=10.0)",
    ),
    (
        ANILSettings(2),
        "classifier",
        "ClassifierSettings(steps=2, rate=0.02, first_order=False, scale=20.0)",
    ),
    (
        GradientSettings("reptile", steps=1),
        "gradient",
        "GradientSettings(method='reptile', steps=1, rate=0.01, test_steps=0, scale=20.0)",
    ),
]


def test_every_head_of_that_version_is_tried():
    assert {type(settings) for settings, _, _ in SAVED} == {
        type(entry.settings) for entry in HEADS.parts().values()
    } - {NearestNeighboursSettings}  # is younger


@pytest.mark.parametrize(("settings", "tag", "text"), SAVED, ids=[tag for _, tag, _ in SAVED])
@torch.no_grad()
def test_a_model_and_a_support_are_what_they_were(tmp_path, settings, tag, text):
    network = build_network(NetworkSettings(TINY, settings, 64)).eval()
    masks = torch.zeros(1, 1, 64, 64, dtype=torch.uint8)
    masks[..., 20:44, 20:44] = 1
    images = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    support = network.encode_support([images], masks)
    expected = network.logits(support, images)
    save_network(network, tmp_path)

    _write_model(tmp_path / "segmenter.json", tag, text)
    _write_support(tmp_path / "support.safetensors", support, fingerprint(network, text))
    loaded = load_network(tmp_path)
    stored = load_support(tmp_path / "support.safetensors")
    assert loaded.settings.head == settings
    assert stored.model == loaded.fingerprint() == network.fingerprint()
    torch.testing.assert_close(loaded.logits(stored, images), expected, atol=1e-5, rtol=1e-6)


def fingerprint(network, head):
    """That version's, of a network without coordinates; `head` is the repr of its settings."""
    digest = hashlib.sha256(f"('test_efficientnet', (8, 16), {head})".encode())
    for name, tensor in network.state_dict().items():
        digest.update(name.encode())
        digest.update(tensor.contiguous().numpy().tobytes())
    return digest.hexdigest()[:16]


def _write_model(path, tag, text):
    values = eval(text.replace(text.partition("(")[0], "dict", 1))  # a literal of this file
    encoder = {"name": "test_efficientnet", "strides": [8, 16], "weights": "none"}
    content = json.loads(path.read_text())
    assert content["encoder"].items() >= encoder.items()
    content["head"] = {**values, "kind": tag}
    path.write_text(json.dumps(content))


def _write_support(path, support, model):
    about = {"format": 1, "class_names": ["disc"], "values": [1], "model": model, "size": 64}
    tensors = {name: tensor.contiguous().clone() for name, tensor in support.tensors.items()}
    save_file(tensors, path, metadata={"support": json.dumps(about)})
