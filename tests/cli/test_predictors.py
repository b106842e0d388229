"""`--predictor`: the same object in `segment` and `protocol`, with the settings of a recipe."""

import json

import nibabel as nib
import numpy as np
import pytest
from PIL import Image

from episodes.catalog.class_areas import compute_class_areas
from episodes.io.read import read_planes
from episodes.protocols.full_volume import FullVolumeSettings, full_volume
from episodes.readers import read_catalog
from fewshot.cli.main import main
from fewshot.cli.predictor_option import predictor_of
from fewshot.evaluation.confusion_counts import GroundTruth
from fewshot.evaluation.protocol_predictor import ProtocolPredictor
from fewshot.inference.inputs import image_planes
from fewshot.inference.postprocessing.settings import PostprocessSettings
from fewshot.inference.predictors.build import build_predictor
from fewshot.inference.segmenter import Segmenter
from fewshot.inference.settings import InferenceSettings
from fewshot.inference.support_set import read_support_set
from fewshot.models.checkpoint import load_network
from fewshot.models.network import NetworkSettings
from tests.fewshot.conftest import disc_scene

from .scans import write_scans


@pytest.fixture(scope="module")
def scans(tmp_path_factory):
    return write_scans(tmp_path_factory.mktemp("volumes") / "scans", 3)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return Segmenter(NetworkSettings(size=64)).save_pretrained(tmp_path_factory.mktemp("model"))


@pytest.mark.filterwarnings("default")  # a command prints its warnings
@pytest.mark.parametrize("name", ["multi-slice", "registered-slice", "registered-volume"])
def test_the_mask_of_the_command_is_that_of_the_protocol(name, scans, model, tmp_path):
    """Three slices of a volume are annotated, and every slice of another is segmented."""
    catalog = compute_class_areas(read_catalog(scans))
    settings = FullVolumeSettings(0, 3, ("liver",), choose="thirds")
    predictor = build_predictor(load_network(model), name, {"threshold": 0.4})
    method = ProtocolPredictor(GroundTruth(catalog), predictor)
    (case,) = method.regroup_cases(full_volume(catalog, settings)).cases
    expected = np.stack(list(method(case.plan)))

    assert case.plan.query[0].startswith("image_1")
    planes = method.stacks.scan(case.plan.support[0]).chosen
    labels = np.asarray(nib.load(scans / "label_2.nii.gz").dataobj)
    mask = tmp_path / "liver.nii.gz"
    marked = np.where(np.isin(np.arange(6), planes), labels == 1, 0)
    nib.save(nib.Nifti1Image(marked.astype(np.int16), np.diag([1.0, 1.0, 5.0, 1.0])), mask)
    command = ["segment", "--support", str(scans / "image_2.nii.gz"), "--mask", str(mask)]
    command += ["--query", str(scans / "image_1.nii.gz"), "--classes", "1=liver"]
    command += ["--model", str(model), "--predictor", name, "--threshold", "0.4"]
    assert main([*command, "--out", str(tmp_path / "out")]) == 0
    found = read_planes(tmp_path / "out/image_1.nii.gz")
    np.testing.assert_array_equal(found == 1, expected)
    assert expected.any()
    summary = json.loads((tmp_path / "out/summary.json").read_text())
    assert summary["predictor"] == name
    assert summary["settings"]["postprocess"]["threshold"] == 0.4
    assert not list((tmp_path / "out").glob("*.safetensors"))


def test_a_recipe_names_a_predictor_and_its_settings():
    name, settings = predictor_of(
        InferenceSettings(
            predictor="alpnet-registered", postprocess=PostprocessSettings(threshold=0.3)
        )
    )
    assert name == "registered-slice"
    assert settings["threshold"] == 0.3
    assert settings["walker_length"] == 12.0
    assert predictor_of(InferenceSettings()) == ("end-to-end", {})
    assert predictor_of(InferenceSettings(predictor="slice", ensemble="logits")) == (
        "slice",
        {"ensemble": "logits"},
    )


@pytest.mark.parametrize(
    ("more", "said"),
    [(["--size", "64"], "because of --size;"), (["--flip", "query"], "because of --flip;")],
)
def test_options_of_a_single_model_choose_it_and_say_so(tmp_path, capsys, more, said):
    image, labels = disc_scene(0, 64)
    Image.fromarray(image).save(tmp_path / "a.png")
    Image.fromarray(labels).save(tmp_path / "a_mask.png")
    pair = ["--support", str(tmp_path / "a.png"), "--mask", str(tmp_path / "a_mask.png")]
    query = ["--query", str(tmp_path / "a.png"), "--out", str(tmp_path / "out")]
    assert main(["segment", *pair, *query, "--classes", "1=disc", "2=bar", *more]) == 0
    assert said in capsys.readouterr().out
    summary = json.loads((tmp_path / "out/summary.json").read_text())
    assert summary["predictor"] == "end-to-end"


def test_methods_are_chosen_by_hand(tmp_path, capsys):
    image, labels = disc_scene(0, 64)
    Image.fromarray(image).save(tmp_path / "a.png")
    Image.fromarray(labels).save(tmp_path / "a_mask.png")
    pair = ["--support", str(tmp_path / "a.png"), "--mask", str(tmp_path / "a_mask.png")]
    query = ["--query", str(tmp_path / "a.png"), "--out", str(tmp_path / "out")]
    chosen = ["--method", "neighbours-256", "--keep", "largest"]
    assert main(["segment", *pair, *query, "--classes", "1=disc", "2=bar", *chosen]) == 0
    assert "methods, not chosen on the annotated images: neighbours-256" in capsys.readouterr().out
    assert main(["segment", *pair, *query, "--method", "best", "--overwrite"]) == 2
    assert "there is no method best; expected some of" in capsys.readouterr().err


def test_a_method_may_be_a_baseline(tmp_path, capsys):
    """It is the predictor of this name, and what it chose is told and written."""
    image, labels = disc_scene(0, 64)
    Image.fromarray(image).save(tmp_path / "a.png")
    Image.fromarray(labels).save(tmp_path / "a_mask.png")
    pair = ["--support", str(tmp_path / "a.png"), "--mask", str(tmp_path / "a_mask.png")]
    pair += ["--query", str(tmp_path / "a.png"), "--classes", "1=disc", "2=bar"]
    outs = {option: tmp_path / option for option in ("method", "predictor")}
    for option, out in outs.items():
        assert main(["segment", *pair, "--out", str(out), f"--{option}", "multi-otsu"]) == 0
        assert "chosen on the annotated images: disc (channel luma" in capsys.readouterr().out
    one, other = (read_planes(out / "a.png") for out in outs.values())
    np.testing.assert_array_equal(one, other)
    summary = json.loads((outs["method"] / "summary.json").read_text())
    assert (summary["predictor"], summary["model"]) == ("multi-otsu", None)
    assert 0 < summary["configuration"]["dice"] <= 1
    more = [*pair, "--out", str(tmp_path / "third"), "--method"]
    for words, message in (
        (["multi-otsu", "place"], "is a baseline, which is not mixed with other methods; leave ou"),
        (["multi-otsu", "--predictor", "threshold"], "is a predictor of its own; leave out --pred"),
        (["multi-otzu"], "there is no method multi-otzu; did you mean multi-otsu? expected some o"),
    ):
        assert main(["segment", *more, *words]) == 2
        assert message in capsys.readouterr().err


def test_a_network_is_trained_with_settings_and_used_again(tmp_path, capsys):
    image, labels = disc_scene(0)
    Image.fromarray(image).save(tmp_path / "a.png")
    Image.fromarray((labels == 1).astype(np.uint8)).save(tmp_path / "a_mask.png")
    picture, mask = str(tmp_path / "a.png"), str(tmp_path / "a_mask.png")
    words = ["segment", "--support", picture, "--mask", mask]
    words += ["--query", picture, "--method", "fcn", "--setting", "steps=2"]
    words += ["encoder=test_resnet", "weights=none", "patch=32", "stride=4", "loss=dice"]
    words += [f"run={tmp_path / 'run'}", "--out"]
    for out in ("one", "two"):
        assert main([*words, str(tmp_path / out)]) == 0, capsys.readouterr().err
        told = "training fcn (test_resnet) on 1 annotated images: 2 steps"
        assert told in capsys.readouterr().out
    summary = json.loads((tmp_path / "two" / "summary.json").read_text())
    assert (summary["settings"]["steps"], summary["settings"]["loss"]) == (2, "dice")
    one, two = (read_planes(tmp_path / out / "a.png") for out in ("one", "two"))
    np.testing.assert_array_equal(one, two)
    (log,) = tmp_path.glob("run/*/log.jsonl")
    assert len(log.read_text().splitlines()) == 2


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--predictor", "alpnet-registred"], "did you mean 'alpnet-registered'?"),
        (["--predictor", "superpixels-local"], "there is no predictor 'superpixels-local'"),
        (["--predictor", "multi-slice", "--zoom", "2.5"], "takes no such option; leave out --zoom"),
        (["--predictor", "multi-slice", "--tiles", "--ensemble", "majority"], "--tiles --ensemble"),
        (["--predictor", "multi-slice", "--annotated", "slices"], "no setting annotated"),
        (["--predictor", "threshold", "--size", "64"], "uses no model; leave out --size"),
        (["--predictor", "threshold", "--threshold", "0.4"], "no setting threshold; expected some"),
        (["--annotated", "slices"], "add --predictor registered-volume"),
        (["--method", "fcn", "--setting", "step=3"], "--setting step=3: did you mean steps?"),
        (["--method", "fcn", "--setting", "steps=many"], "--setting steps"),
    ],
)
def test_what_does_not_fit_is_refused(scans, tmp_path, capsys, more, message):
    image, mask = str(scans / "image_1.nii.gz"), str(scans / "label_1.nii.gz")
    command = ["segment", "--support", image, "--mask", mask, "--query", image]
    command += ["--classes", "1=liver", "2=spleen", "--out", str(tmp_path / "out")]
    assert main([*command, *more]) == 2
    assert message in capsys.readouterr().err


def test_a_protocol_is_run_with_a_predictor(scans, tmp_path, capsys):
    run, result = tmp_path / "run", tmp_path / "result.json"
    train = ["train", str(scans), "--out", str(run), "--novel", "liver", "--size", "64"]
    train += ["--test-subjects", "1", "2", "--superpixels", "1", "--steps", "1"]
    assert main([*train, "--batch", "1"]) == 0
    command = ["protocol", str(scans), "--model", str(run), "--folds", "3", "--fold", "0"]
    command += [
        "--novel",
        "liver",
        "--protocols",
        "full-volume",
        "--predictor",
        "registered-volume",
    ]
    assert main([*command, "--result", str(result)]) == 0
    settings = json.loads(result.read_text())["settings"]
    assert settings["predictor"] == "registered-volume"
    assert settings["settings"]["self_support"]["atlas_weight"] == 0.0
    assert main(["protocol", str(scans), "--protocols", "one-image", "--predictor", "slice"]) != 0
    capsys.readouterr()
    assert main(["protocol", str(scans), "--protocols", "panet", "--predictor", "multi-slice"]) == 2
    assert "takes no --predictor" in capsys.readouterr().err


def test_a_baseline_needs_no_model(scans, model, tmp_path, capsys):
    """Mask and score of the threshold are those of the same object called directly."""
    image, mask = str(scans / "image_1.nii.gz"), str(scans / "label_1.nii.gz")
    command = ["segment", "--support", image, "--mask", mask, "--classes", "1=liver", "2=spleen"]
    command += ["--query", str(scans / "image_2.nii.gz"), "--predictor", "threshold"]
    assert main([*command, "--out", str(tmp_path / "out")]) == 0
    predictor = build_predictor(None, "threshold")
    learned = predictor.learn(read_support_set(image, mask, {1: "liver", 2: "spleen"}))
    expected = predictor.segment(image_planes(scans / "image_2.nii.gz"), learned).mask
    np.testing.assert_array_equal(read_planes(tmp_path / "out/image_2.nii.gz"), expected)
    assert json.loads((tmp_path / "out/summary.json").read_text())["model"] is None

    result = tmp_path / "result.json"
    protocol = ["protocol", str(scans), "--protocols", "one-image", "--test-subjects", "1"]
    protocol += ["--predictor", "threshold"]
    assert main([*protocol, "--result", str(result)]) == 0
    rows = json.loads(result.read_text())["results"]
    assert [row["method"] for row in rows] == ["copy-mask", "threshold"]
    assert rows[1]["mean"] > 60
    capsys.readouterr()
    assert main([*protocol, "--model", str(model)]) == 2
    assert "--predictor threshold uses no model; leave out --model" in capsys.readouterr().err
