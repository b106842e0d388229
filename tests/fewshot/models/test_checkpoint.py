import json
import os
import pickle

import numpy as np
import pytest
import torch

from episodes.errors import DataError, ModelError
from fewshot.inference.segmenter import Segmenter
from fewshot.models.checkpoint import (
    SETTINGS,
    WEIGHTS,
    load_network,
    load_support,
    save_network,
    save_support,
)
from fewshot.models.encoder import EncoderSettings
from fewshot.models.heads import PANetSettings
from fewshot.models.network import NetworkSettings
from tests.fewshot.conftest import disc_scene


@pytest.mark.parametrize("head", [None, PANetSettings("euclidean", 10.0)])
def test_a_segmenter_comes_back_the_same(head, tmp_path):
    encoder = EncoderSettings(weights="none", strides=(4, 16))
    settings = NetworkSettings(encoder, *([head] if head else []), size=96)
    segmenter = Segmenter(settings)
    loaded = Segmenter(load_network(save_network(segmenter.network, tmp_path)))
    assert loaded.network.settings.head == segmenter.network.settings.head
    assert loaded.network.settings.size == 96
    image, labels = disc_scene(0)
    support = segmenter.learn(image, labels == 1)
    expected = segmenter.segment(image, support).probabilities
    again = loaded.segment(image, loaded.learn(image, labels == 1)).probabilities
    np.testing.assert_array_equal(again, expected)


def test_a_support_survives_model_and_process(segmenter, tmp_path):
    save_network(segmenter.network, tmp_path)
    image, labels = disc_scene(0)
    support = segmenter.learn(image, labels, {1: "disc", 2: "bar"})
    again = load_support(save_support(support, tmp_path / "support.safetensors"))
    assert (again.class_names, again.values, again.size) == (("disc", "bar"), (1, 2), support.size)
    expected = segmenter.segment(image, support).mask
    np.testing.assert_array_equal(
        Segmenter(load_network(tmp_path)).segment(image, again).mask, expected
    )


def test_damaged_and_foreign_files_are_refused(own_segmenter, tmp_path):
    class Payload:
        def __reduce__(self):
            return (os.system, (f"touch {tmp_path / 'executed'}",))

    save_network(own_segmenter.network, tmp_path)
    whole = (tmp_path / WEIGHTS).read_bytes()
    bad = {
        "pickle": pickle.dumps(Payload()),
        "truncated": whole[: len(whole) // 2],
        "huge header": (2**62).to_bytes(8, "little") + whole[8:],
        "empty": b"",
        "short": b"\x05\x00",
        "header only": whole[:300],
    }
    for name, content in bad.items():
        (tmp_path / WEIGHTS).write_bytes(content)
        with pytest.raises(ModelError, match=r"model\.safetensors"):
            Segmenter(load_network(tmp_path))
        assert not (tmp_path / "executed").exists(), name
        with pytest.raises(ModelError):
            load_support(tmp_path / WEIGHTS)


def test_settings_that_were_edited_are_refused(own_segmenter, tmp_path):
    save_network(own_segmenter.network, tmp_path)
    right = json.loads((tmp_path / SETTINGS).read_text())
    edits = [
        {**right, "format": 99},
        {**right, "head": {"kind": "os.system"}},
        {**right, "surprise": 1},
        {**right, "encoder": {**right["encoder"], "strides": [4]}},
        {k: v for k, v in right.items() if k != "encoder"},
        [right],
        {**right, "size": 33},
        {**right, "encoder": {**right["encoder"], "name": "no_such_model"}},
    ]
    for content in edits:
        (tmp_path / SETTINGS).write_text(json.dumps(content))
        with pytest.raises(ModelError):
            Segmenter(load_network(tmp_path))
    (tmp_path / SETTINGS).write_text("{" * 100_000)
    with pytest.raises(ModelError):
        Segmenter(load_network(tmp_path))


def test_missing_files_are_named(tmp_path):
    with pytest.raises(ModelError, match="fewshot train"):
        Segmenter(load_network(tmp_path / "nothing"))
    with pytest.raises(ModelError, match="there is no file"):
        load_support(tmp_path / "nothing.safetensors")


def test_a_failed_save_leaves_the_old_model(own_segmenter, tmp_path, monkeypatch):
    save_network(own_segmenter.network, tmp_path)
    before = (tmp_path / WEIGHTS).read_bytes()

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("fewshot.models.checkpoint.save_file", full)
    with torch.no_grad():
        next(own_segmenter.network.parameters()).add_(1)
    with pytest.raises(DataError, match="No space left"):
        save_network(own_segmenter.network, tmp_path)
    assert (tmp_path / WEIGHTS).read_bytes() == before
    assert not list(tmp_path.glob(".partial*"))


def test_pretrained_from_a_folder_and_errors_for_the_rest(segmenter, tmp_path, monkeypatch):
    folder = segmenter.save_pretrained(tmp_path / "shared")
    assert (
        Segmenter.from_pretrained(folder).network.fingerprint() == segmenter.network.fingerprint()
    )
    with pytest.raises(ModelError, match="owner/name"):
        Segmenter.from_pretrained(tmp_path / "nothing")

    def offline(*_, **__):
        raise OSError("no network")

    monkeypatch.setattr("huggingface_hub.snapshot_download", offline)
    with pytest.raises(ModelError, match="someone/model cannot be downloaded"):
        Segmenter.from_pretrained("someone/model")
