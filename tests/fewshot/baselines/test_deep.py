"""Networks that are trained on annotated images: what they learn, keep, and refuse."""

import json
import sys

import numpy as np
import pytest
import torch

from episodes.errors import DataError, ModelError
from episodes.io.pixels import IGNORE
from fewshot import baselines
from fewshot.baselines.deep.objects import paint, targets_of
from fewshot.baselines.deep.patches import Annotated, Patches
from fewshot.baselines.deep.trainer import PixelObjective
from fewshot.inference.instances.predictor import InstancePredictor
from fewshot.inference.predictors.build import build_predictor
from fewshot.training.run import Callback

from .scenes import QUICK, scene, shots, stack

FEW = {**QUICK["fcn"], "steps": 6}


class StopAt(Callback):
    """Interrupts a run as Ctrl-C does."""

    def __init__(self, step):
        self.step = step

    def on_step_end(self, run, values):
        if run.step == self.step:
            run.stop("Ctrl-C")


def learn(name="fcn", callbacks=(), support=None, **values):
    predictor = build_predictor(None, name, {**FEW, **values})
    predictor.callbacks = callbacks
    return predictor.learn(support or shots(scene(0), names=("disc", "bar")))


def weights(support):
    return support.model.network.state_dict()


def same(one, other):
    return all(torch.equal(one[name], other[name]) for name in one)


def test_a_run_that_was_stopped_goes_on_to_the_same_weights(tmp_path):
    """The network of the head has dropout, so the state of the random numbers is kept, too."""
    torch.manual_seed(1)
    before = torch.get_rng_state()
    whole = learn()
    assert torch.equal(torch.get_rng_state(), before)
    run = str(tmp_path / "run")
    with pytest.raises(KeyboardInterrupt):
        learn(run=run, callbacks=[StopAt(3)])
    assert same(weights(learn(run=run, callbacks=[StopAt(0)])), weights(whole))
    finished = learn(run=run, callbacks=[StopAt(1)])  # used again, without a step
    assert same(weights(finished), weights(whole))
    with pytest.raises(
        DataError, match=r"has loss dice\+cross_entropy, and now it is dice; choose"
    ):
        learn(run=run, loss="dice")
    assert len(list((tmp_path / "run").iterdir())) == 1
    learn(run=run, steps=1, support=shots(scene(1), names=("disc", "bar")))
    assert len(list((tmp_path / "run").iterdir())) == 2
    with pytest.raises(DataError, match="is not of this network"):
        build_predictor(None, "unet", {**QUICK["unet"], "run": run}).learn(
            shots(scene(0), names=("disc", "bar"))
        )


def test_unknown_pixels_do_not_matter():
    image, labels = scene(0)
    labels[:, 40:] = IGNORE
    other = image.copy()
    other[:, 40:] = 255 - other[:, 40:]
    pair = torch.from_numpy(image)[None] / 255, torch.from_numpy(labels)
    changed = torch.from_numpy(other)[None] / 255, pair[1]
    one, two = (Patches(Annotated((each,)), 64, "none") for each in (pair, changed))
    assert (one([0])[1] == IGNORE).any()
    network = PixelObjective(torch.nn.Conv2d(1, 3, 1), "dice+cross_entropy")  # of single pixels
    assert torch.equal(network(one([0]))["loss"], network(two([0]))["loss"])


def test_patches_depend_on_their_number_alone_and_find_small_classes():
    image = torch.rand(3, 200, 90, generator=torch.Generator().manual_seed(0))
    labels = torch.zeros(200, 90, dtype=torch.uint8)
    labels[150:153, 20:23] = 1
    patches = Patches(Annotated(((image, labels),)), 64, "strong", 3)
    images, found = patches(range(40))
    assert images.shape == (40, 3, 64, 64)
    assert (found == 1).any(dim=2).any(dim=1).float().mean() > 0.4
    assert torch.equal(images[7], patches.patch(7)[0])
    assert not torch.equal(images[7], images[8])
    small = Patches(Annotated(((image[:, :20], labels[:20]),)), 64, "none")
    assert (small.patch(0)[1][20:] == IGNORE).all()


def test_a_network_is_saved_and_loaded(tmp_path):
    image, labels = scene(0)
    query, _ = scene(1)
    fitted = baselines.fit("fcn", image, labels, ["disc", "bar"], **FEW)
    loaded = baselines.load(fitted.save(tmp_path / "net"))
    assert sorted(path.name for path in (tmp_path / "net").iterdir()) == [
        "baseline.json",
        "model.safetensors",
    ]
    expected = fitted.segment(query)
    np.testing.assert_array_equal(loaded.segment(query).probabilities, expected.probabilities)
    assert loaded.segment(query).class_names == ("disc", "bar")
    path = tmp_path / "net" / "baseline.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"names": ["disc"]}))
    with pytest.raises(ModelError, match=r"does not fit .*both files have to be of one network"):
        baselines.load(tmp_path / "net")
    with pytest.raises(ModelError, match="threshold has no trained network to save"):
        baselines.fit("threshold", image, labels, ["disc", "bar"]).save(tmp_path)


def test_a_data_set_is_trained_on_from_its_files(index_set, tmp_path):
    values = {**FEW, "steps": 2, "patch": 32}

    def train(name, stop):
        callbacks, folder = [StopAt(stop)], tmp_path / name
        return baselines.train(
            "fcn", index_set, folder, ["disc", "bar"], callbacks=callbacks, **values
        )

    with pytest.raises(KeyboardInterrupt):
        train("run", 1)
    trained, whole = train("run", 0), train("whole", 0)
    assert same(weights(trained.support), weights(whole.support))
    loaded = baselines.load(tmp_path / "run")
    picture = index_set / "images" / "p0_a.png"
    answer = loaded.segment(picture)
    assert answer.labels.shape == (1, 40, 56)
    np.testing.assert_array_equal(answer.labels, trained.segment(picture).labels)
    with pytest.raises(ModelError, match="the baseline watershed is no network"):
        baselines.train("watershed", index_set, tmp_path / "other")


def test_objects_have_boxes_and_the_surest_come_first():
    codes = torch.zeros(8, 10, dtype=torch.int32)
    codes[1:5, 2:7], codes[5:8, 0:3], codes[0, 9] = 256, 3, 4
    codes[7, 9] = IGNORE
    ways = [0] * 257
    ways[256], ways[3], ways[4] = 2, 1, 1
    targets = targets_of(codes, ways)
    assert targets["boxes"].tolist() == [[0, 5, 3, 8], [2, 1, 7, 5]]
    assert targets["labels"].tolist() == [1, 2]
    masks = targets["masks"][[1, 1, 0]][:, None].float()
    scores, labels = torch.tensor([0.6, 0.9, 0.3]), torch.tensor([1, 2, 1])
    found = {"scores": scores, "labels": labels, "masks": masks}
    numbers, kept, known = paint(found, 0.5, (16, 20))  # the first is covered, the last unsure
    assert kept.tolist() == [2]
    assert known.tolist() == pytest.approx([0.9])
    assert numbers.shape == (16, 20)
    np.testing.assert_array_equal(numbers[::2, ::2] == 1, (codes == 256).numpy())


def test_mask_rcnn_gives_objects(tmp_path):
    image, labels = scene(0)
    predictor = build_predictor(None, "mask-rcnn", {**QUICK["mask-rcnn"], "score": 1e-6})
    maker = InstancePredictor(predictor)
    learned = maker.learn(shots((image, labels), names=("disc", "bar")))
    found = maker.instances(stack(scene(1)[0]), learned)
    assert found.labels.shape == (1, 64, 64)
    assert found.labels.max() == len(found.scores) == len(found.classes)
    assert set(found.classes) <= {1, 2}
    again = baselines.FittedBaseline("mask-rcnn", predictor, learned.support)
    loaded = baselines.load(again.save(tmp_path / "net"))
    np.testing.assert_array_equal(loaded.instances(scene(1)[0]).labels, found.labels)
    with pytest.raises(DataError, match="finds objects by itself"):
        InstancePredictor(predictor, "border").learn(
            shots((image, labels), names=("disc", "bar"), objects=(labels[None],))
        )
    with pytest.raises(
        DataError, match="mask-rcnn finds objects of images, and image has 2 planes"
    ):
        predictor.instances(stack(np.zeros((2, 9, 9)), whole=True), learned.support)
    with pytest.raises(DataError, match="mask-rcnn has losses of its own"):
        build_predictor(None, "mask-rcnn", {"loss": "dice"})


def test_what_is_missing_or_wrong_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "segmentation_models_pytorch", None)
    with pytest.raises(DataError, match=r"needs segmentation_models_pytorch.*\[baselines\]"):
        build_predictor(None, "unet", QUICK["unet"]).learn(shots(scene(0), names=("a", "b")))
    with pytest.raises(ModelError, match=r"no model 'resnet81'; similar names: .*resnet18"):
        learn(encoder="resnet81")
    with pytest.warns(UserWarning, match="no weights of test_resnet are installed"):
        learn(weights="installed", steps=1)
    with pytest.raises(DataError, match="steps and minutes are both 0"):
        build_predictor(None, "fcn", {"steps": 0})


def test_the_cost_is_told_and_a_loss_of_the_package_is_taken():
    predictor = build_predictor(None, "unet")
    text = predictor.cost(shots(scene(0), scene(1)))
    assert text.startswith("training unet (tf_efficientnet_lite0) on 2 annotated images: 200 steps")
    trained = learn(loss="focal+0.5*lovasz", steps=2)
    assert trained.model.steps == 2
