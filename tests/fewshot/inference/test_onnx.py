import numpy as np
import pytest
import torch

from episodes.errors import ModelError
from fewshot.inference.onnx import export_onnx
from fewshot.inference.segmenter import Segmenter
from fewshot.models.encoder import EncoderSettings
from fewshot.models.heads import (
    ALPNetSettings,
    ANILSettings,
    GradientSettings,
    INSID3Settings,
    PANetSettings,
)
from fewshot.models.network import NetworkSettings
from tests.fewshot.conftest import disc_scene


@pytest.mark.filterwarnings("ignore")  # of torch's exporter, about its own parts
@pytest.mark.parametrize(
    ("head", "strides"),
    [
        (ALPNetSettings(), (8, 16)),
        (PANetSettings(), (2, 4)),  # few layers: it is the head whose graph is another one
        (ANILSettings(), (2, 4)),
    ],
)
def test_the_graph_gives_what_the_segmenter_gives(tmp_path, head, strides):
    import onnxruntime

    encoder = EncoderSettings(strides=strides)
    segmenter = Segmenter(NetworkSettings(encoder=encoder, head=head, size=64))
    (first, labels), (second, others) = disc_scene(1, 64), disc_scene(2, 64)
    label_map = {1: "disc", 2: "bar"}
    support = segmenter.learn(first, labels, label_map, size=64)
    path = export_onnx(segmenter.network, support, tmp_path / "segment.onnx")
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    # Another support, of two shots, and another number of images than in the export.
    both = segmenter.learn([first, second], [labels, others], label_map, size=64)
    images = torch.rand(3, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    tensors = {name: tensor.numpy() for name, tensor in both.tensors.items()}
    names = {each.name for each in session.get_inputs()}
    given = {"images": images.numpy(), **tensors}
    (found,) = session.run(None, {name: given[name] for name in names})
    with torch.inference_mode():
        features = segmenter.network.encoder(images)
        logits = segmenter.network.head.logits(both, features[None])[0]
    expected = torch.nn.functional.interpolate(logits, size=(64, 64), mode="bilinear").softmax(1)
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_what_has_no_single_graph_is_refused(tmp_path):
    segmenter = Segmenter(NetworkSettings(head=GradientSettings("fomaml"), size=64))
    image, labels = disc_scene(1, 64)
    with pytest.raises(ModelError, match="no one graph"):
        export_onnx(segmenter.network, segmenter.learn(image, labels), tmp_path / "segment.onnx")


def test_clustering_is_refused(tmp_path):
    segmenter = Segmenter(NetworkSettings(head=INSID3Settings(), size=64))
    image, labels = disc_scene(1, 64)
    with pytest.raises(ModelError, match="clustering"):
        export_onnx(segmenter.network, segmenter.learn(image, labels), tmp_path / "segment.onnx")
