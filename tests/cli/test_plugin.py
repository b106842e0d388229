"""A head from a user's own file: trained, benchmarked, saved, loaded; and if it is missing."""

import json

import numpy as np
import pytest

from episodes import plugins
from fewshot.cli.main import main
from fewshot.models.checkpoint import load_network
from fewshot.registry import HEADS
from tests.cli.scans import TOY, read, write_scans
from tests.fewshot.models.heads.family import check_head

HEAD = '''
"""The nearest class mean, by squared distance."""

from dataclasses import dataclass

import torch

from fewshot import Head, Support, register_head
from fewshot.models.prototypes import class_prototypes


@dataclass(frozen=True)
class NearestMeanSettings:
    scale: float = 20.0
    sides: tuple[int, ...] = (1, 2)


@register_head("sharp-mean", NearestMeanSettings(scale=40.0))
@register_head("nearest-mean", NearestMeanSettings())
class NearestMeanHead(Head):
    def encode_support(self, support_features, support_masks):
        means, present = class_prototypes(support_features, support_masks)
        return Support({"means": means, "present": present})

    def logits(self, support, query_features):
        queries = query_features.flatten(3).transpose(2, 3)
        means = support.tensors["means"][:, None]
        distance = (queries[:, :, :, None] - means[:, :, None]).square().sum(dim=-1)
        present = support.tensors["present"][:, None, None]
        scores = torch.where(present, -distance, -4.0).transpose(2, 3)
        return self.settings.scale * scores.unflatten(3, query_features.shape[-2:])
'''


@pytest.fixture
def plugin(tmp_path, monkeypatch):
    monkeypatch.setenv(plugins.VARIABLE, "")
    path = tmp_path / "my_head.py"
    path.write_text(HEAD)
    yield str(path)
    plugins.unload_plugins()


QUICK = ("--size", "64", "--minutes", "0", "--batch", "1")


def test_a_head_of_a_plugin_is_trained_saved_and_used(data, tmp_path, plugin, capsys):
    run, image = tmp_path / "run", data / "images" / "scene0.png"
    train = ["train", str(data), "--novel", "bar", "--out", str(run), *QUICK]
    assert main([*train, "--steps", "2", "--head", "sharp-mean", "--plugin", plugin]) == 0
    head = json.loads((run / "segmenter.json").read_text())["head"]
    assert (head["kind"], head["scale"], head["sides"]) == ("nearest-mean", 40.0, [1, 2])
    assert head["plugin"]["file"] == "my_head.py"
    assert json.loads((run / "split.json").read_text())["plugins"] == [head["plugin"]]
    network = load_network(run)
    assert network.settings.head == HEADS["sharp-mean"].settings
    before = network.fingerprint()

    support = ["--support", str(image), "--mask", str(data / "masks" / "scene0.png")]
    segment = ["segment", *support, "--query", str(image), "--model", str(run)]
    segment += ["--size", "64", "--out"]
    plugins.unload_plugins()
    capsys.readouterr()
    assert main([*segment, str(tmp_path / "masks")]) == 2
    said = capsys.readouterr().err
    assert "needs the head 'nearest-mean', which is not there" in said
    assert "plugin my_head.py: give that with --plugin my_head.py" in said
    assert main([*segment, str(tmp_path / "masks"), f"--plugin={plugin}"]) == 0
    assert main(["evaluate", str(run), "--episodes", "1", "--plugin", plugin]) == 0
    assert load_network(run).fingerprint() == before

    more = [*train, "--steps", "3", "--head", "sharp-mean", "--resume"]
    plugins.unload_plugins()
    assert main(more) == 2
    assert "--head is 'sharp-mean'; expected one of 'adnet'" in capsys.readouterr().err
    assert main([*more, "--plugin", plugin]) == 0


def test_a_plugin_that_has_changed_is_noticed(data, tmp_path, plugin, capsys):
    run = tmp_path / "run"
    train = ["train", str(data), "--out", str(run), *QUICK, "--head", "nearest-mean"]
    assert main([*train, "--steps", "1", "--plugin", plugin]) == 0
    with open(plugin, "a") as file:
        file.write("# another version\n")
    assert main([*train, "--steps", "2", "--resume", "--plugin", plugin]) == 2
    assert "was started with the plugins my_head.py (sha256" in capsys.readouterr().err
    with pytest.warns(UserWarning, match=r"saved with another version of the plugin my_head\.py"):
        load_network(run)


BASELINE = """
import numpy as np
from fewshot.registry import register_baseline


@register_baseline("nothing")
def nothing(truth, size, stride):
    def method(plan):
        for key in plan.query:
            yield np.zeros(truth.sample(key).size, bool)

    return method
"""


def test_a_head_and_a_baseline_of_plugins_have_rows_in_a_benchmark(tmp_path, plugin, capsys):
    scans, out = write_scans(tmp_path / "scans"), tmp_path / "out"
    (tmp_path / "nothing.py").write_text(BASELINE)
    protocols = ("--protocols", "alpnet", "--folds", "0", *TOY, "--out", str(out))
    command = [
        "benchmark",
        str(scans),
        "--methods",
        "untrained-nearest-mean",
        "nothing",
        *protocols,
    ]
    command += ["--plugin", str(tmp_path / "nothing.py")]
    assert main([*command, "--plugin", plugin]) == 0, capsys.readouterr().err
    rows = {row["method"]: row for row in read(out)["results"]}
    assert np.isfinite(rows["untrained-nearest-mean"]["mean"])
    assert rows["nothing"]["mean"] == 0.0
    assert set(rows) == {"untrained-nearest-mean", "nothing", "copy-mask", "feature-grid"}
    with open(plugin, "a") as file:
        file.write("# another version\n")
    assert main([*command, "--plugin", plugin]) == 2  # its old cells would be taken for new ones
    assert "whose untrained-nearest-mean has plugin" in capsys.readouterr().err


def test_a_head_of_a_plugin_keeps_the_contract(plugin):
    plugins.load_plugin(plugin)
    entry = HEADS["nearest-mean"]
    check_head(lambda features: entry.head(entry.settings))


def test_a_plugin_that_is_wrong_is_one_line(tmp_path, capsys):
    wrong = tmp_path / "wrong.py"
    wrong.write_text("1 / 0\n")
    assert main(["inspect", "data", "--plugin", str(wrong)]) == 2
    said = capsys.readouterr().err
    assert (
        said
        == f"fewshot: error: plugin {wrong} fails in line 1: ZeroDivisionError: division by zero\n"
    )
    assert main(["inspect", "data", "--plugin"]) == 2
    assert "--plugin has no file after it; name a file" in capsys.readouterr().err


PARTS = '''
from pathlib import Path

import numpy as np
from episodes.readers import register_reader
from episodes.readers import folder
from fewshot.metrics.mask_scores import register_metric
from fewshot.registry import register_loss


@register_loss("squared")
def squared_loss(logits, target, *, ignore_index=255, reduction="mean"):
    known = target != ignore_index
    wrong = 1 - logits.softmax(dim=1).gather(1, target.long().clamp(max=1)[:, None])[:, 0]
    return (wrong.square() * known).sum() / known.sum().clamp(min=1)


@register_metric("wrong_pixels", "number")
def wrong_pixels(pair):
    return float(np.sum(pair.predicted != (pair.reference == 1)))


@register_reader("marked-folder")
class MarkedFolder:
    """Folders of pictures that hold a file named MARK."""

    @staticmethod
    def recognises(root):
        return (Path(root) / "MARK").exists()

    @staticmethod
    def read(root, *, subject_pattern=None, label_map=None):
        return folder.read(root, subject_pattern=subject_pattern, label_map=label_map)
'''


def test_a_loss_a_metric_and_a_reader_of_a_plugin(data, tmp_path, plugin, capsys):
    parts, run = tmp_path / "parts.py", tmp_path / "run"
    parts.write_text(PARTS)
    (data / "MARK").touch()
    train = ["train", str(data), "--out", str(run), *QUICK, "--steps", "1"]
    train += ["--head", "nearest-mean", "--loss", "squared+0.5*dice"]
    assert main([*train, "--plugin", plugin]) == 2
    assert "there is no loss 'squared'" in capsys.readouterr().err
    assert main([*train, "--plugin", plugin, "--plugin", str(parts)]) == 0
    evaluate = ["evaluate", str(run), "--episodes", "1", "--metrics", "dice", "wrong_pixels"]
    assert main([*evaluate, "--plugin", plugin, "--plugin", str(parts)]) == 0
    assert "wrong_pixels" in capsys.readouterr().out
    masks = str(data / "masks")
    capsys.readouterr()
    score = ["score", masks, masks, "--metrics", "dice", "wrong_pixels"]
    assert main([*score, "--plugin", str(parts)]) == 0
    assert "wrong_pixels" in capsys.readouterr().out
    assert main(["inspect", str(data), "--plugin", str(parts)]) == 0
    assert "read as marked-folder" in capsys.readouterr().out
    assert main(["inspect", str(data), "--layouts", "--plugin", str(parts)]) == 0
    assert "marked-folder: Folders of pictures that hold a file named MARK." in (
        capsys.readouterr().out
    )
    plugins.unload_plugins()
    assert main(["inspect", str(data)]) == 0
    assert "read as folder" in capsys.readouterr().out
