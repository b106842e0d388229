"""The commands on good input, in one process."""

import json
import shutil

import nibabel as nib
import numpy as np
import pytest
from PIL import Image

from episodes import bundled
from episodes.io.read import read_header
from fewshot.cli.main import main
from fewshot.inference.saved_support import load_support
from fewshot.inference.segmenter import Segmenter
from fewshot.models.checkpoint import load_network
from tests.fewshot.conftest import disc_scene


def test_segment_keeps_name_size_format_and_geometry(tmp_path, capsys):
    brain = bundled.path("brain")
    planes = nib.load(brain / "image_icbm.nii.gz")
    few = planes.slicer[:, :, 16:20]
    nib.save(few, tmp_path / "few.nii.gz")
    nib.save(nib.load(brain / "label_icbm.nii.gz").slicer[:, :, 16:20], tmp_path / "label.nii.gz")
    out = tmp_path / "out"
    code = main(
        [
            *("segment", "--support", str(tmp_path / "few.nii.gz")),
            *("--mask", str(tmp_path / "label.nii.gz"), "--query", str(tmp_path / "few.nii.gz")),
            *("--classes", "1=grey", "2=white", "--size", "128", "--out", str(out)),
        ]
    )
    assert code == 0
    mask = nib.load(out / "few.nii.gz")
    assert mask.shape == few.shape
    np.testing.assert_array_equal(mask.affine, few.affine)
    assert set(np.unique(np.asanyarray(mask.dataobj))) == {0, 1, 2}
    summary = json.loads((out / "summary.json").read_text())
    row = summary["images"][0]
    voxels = int((np.asanyarray(mask.dataobj) == 1).sum())
    assert row["classes"]["grey"]["pixels"] == voxels
    assert row["classes"]["grey"]["volume_mm3"] == pytest.approx(voxels * 4.0)
    assert 0.5 < row["classes"]["grey"]["confidence"] <= 1
    assert read_header(out / "few_overlay.png").size == (233, 197)


def test_segment_a_folder_of_mixed_files(data, tmp_path):
    image, _ = disc_scene(20)
    queries = tmp_path / "queries" / "deeper"
    queries.mkdir(parents=True)
    Image.fromarray(image).save(queries / "photo.jpg", quality=95)
    Image.fromarray(image.astype(np.uint16) * 200).save(queries / "deep.tif")
    Image.fromarray(np.stack([image] * 3, 2)).save(queries.parent / "colour.png")
    out = tmp_path / "out"
    arguments = ["--support", str(data / "images/scene0.png"), str(data / "images/scene1.png")]
    masks = ["--mask", str(data / "masks/scene0.png"), str(data / "masks/scene1.png")]
    code = main(
        ["segment", *arguments, *masks, "--query", str(tmp_path / "queries"), "--out", str(out)]
    )
    assert code == 0
    assert read_header(out / "deeper/photo.png").size == (96, 96)
    assert read_header(out / "deeper/deep.tif").size == (96, 96)
    assert read_header(out / "colour.png").size == (96, 96)
    assert load_support(out / "support.safetensors").values == (1, 2)
    summary = json.loads((out / "summary.json").read_text())
    assert summary["predictor"] == "self-configuring"
    assert sum(summary["configuration"]["weights"].values()) > 0
    assert all(0 <= row["expected_dice"] <= 1 for row in summary["images"])
    assert json.loads((out / "deeper/photo.json").read_text())["mask"] == "deeper/photo.png"


def test_training_on_the_queries_makes_one_more_method(data, tmp_path, capsys):
    queries, out = tmp_path / "queries", tmp_path / "out"
    queries.mkdir()
    for seed in (5, 6):
        Image.fromarray(disc_scene(seed)[0]).save(queries / f"{seed}.png")
    command = ["segment", "--support", str(data / "images/scene0.png"), "--out", str(out)]
    command += ["--mask", str(data / "masks/scene0.png"), "--query", str(queries)]
    command += ["--train-on-queries", "0.01"]
    assert main([*command, "--method", "trained", "place"]) == 0
    summary = json.loads((out / "summary.json").read_text())
    assert summary["configuration"]["weights"] == {"trained": 0.5, "place": 0.5}
    assert summary["train_on_queries_minutes"] == 0.01
    kept = ["--model", str(out / "trained"), "--predictor", "self-configuring"]
    again = [*command[:-4], "--query", str(queries), *kept, "--method", "trained", "place"]
    again[again.index(str(out))] = str(tmp_path / "again")
    assert main(again) == 0
    for name in ("5.png", "6.png"):
        assert (out / name).read_bytes() == (tmp_path / "again" / name).read_bytes()
    capsys.readouterr()
    assert main([*command, "--model", str(out / "trained")]) == 2
    assert "leave out --model" in capsys.readouterr().err
    assert main([*command, "--zoom", "2"]) == 2
    assert "leave out --zoom" in capsys.readouterr().err


def test_train_then_evaluate(data, tmp_path, capsys):
    run = tmp_path / "run"
    code = main(
        [
            *("train", str(data), "--out", str(run), "--novel", "bar", "--size", "64"),
            *("--minutes", "0", "--steps", "3", "--batch", "2", "--superpixels", "0.5"),
        ]
    )
    assert code == 0, capsys.readouterr().err
    split = json.loads((run / "split.json").read_text())
    assert split["audit"]["disjoint"]
    assert split["novel_classes"] == ["bar"]
    assert not set(split["train_subjects"]) & set(split["test_subjects"])
    result = tmp_path / "results" / "toy.json"
    code = main(
        [
            *("evaluate", str(run), "--episodes", "6", "--result", str(result)),
            *("--headline", "toy_dice"),
        ]
    )
    captured = capsys.readouterr()
    assert code == 0, captured.err
    assert "copy-mask" in captured.out
    assert (run / "evaluation" / "episodes.png").exists()
    assert json.loads(result.read_text())["headline"][0]["name"] == "toy_dice"
    more = ["train", str(data), "--out", str(tmp_path / "more"), "--novel", "bar", "--size", "64"]
    assert main([*more, "--minutes", "0", "--steps", "1", "--model", str(run)]) == 0
    remembered = json.loads((tmp_path / "more" / "split.json").read_text())
    assert remembered["earlier_commands"] == [split["command"]]
    assert main(["calibrate", str(run), "--episodes", "4", "--bias"]) == 0
    fitted = json.loads((run / "calibration.json").read_text())
    assert f"temperature {fitted['temperature']:.3f}" in capsys.readouterr().out
    assert Segmenter(load_network(run)).network.calibration.bias == fitted["bias"]


def test_evaluate_notices_other_data(data, tmp_path, capsys):
    run = tmp_path / "run"
    main(
        [
            *("train", str(data), "--out", str(run), "--novel", "bar", "--size", "64"),
            *("--minutes", "0", "--steps", "1", "--batch", "1"),
        ]
    )
    test_subject = json.loads((run / "split.json").read_text())["test_subjects"][0]
    mask = data / "masks" / f"{test_subject}.png"
    changed = np.asarray(Image.open(mask)).copy()
    changed[:5, :5] = 1
    Image.fromarray(changed).save(mask)
    assert main(["evaluate", str(run), "--episodes", "2"]) == 2
    assert "was trained beside" in capsys.readouterr().err


def test_inspect_says_what_is_there_and_what_is_wrong(data, tmp_path, capsys):
    Image.fromarray(np.zeros((96, 96), np.uint8)).save(data / "masks" / "scene0.png")
    (data / "masks" / "scene1.png").unlink()
    assert main(["inspect", str(data), "--json", str(tmp_path / "found.json")]) == 0
    said = capsys.readouterr().out
    assert "8 images (7 annotated) of 8 subjects, read as folder" in said
    assert "1 of 8 images have an empty mask" in said
    assert "1 images without a mask: scene1" in said
    found = json.loads((tmp_path / "found.json").read_text())
    assert found["classes"]["disc"]["images"] == 6


def test_inspect_draws_classes_and_finds_copies(data, tmp_path, capsys):
    for folder in ("images", "masks"):
        shutil.copy(data / folder / "scene0.png", data / folder / "scene9.png")
    out = tmp_path / "pictures"
    assert main(["inspect", str(data), "--pictures", str(out), "--classes", "1=thing"]) == 0
    said = capsys.readouterr().out
    assert "images/scene0.png and images/scene9.png" in said
    assert "mask value 2 has no name" in said
    assert f"1 picture(s) in {out}" in said
    sheet = np.asarray(Image.open(out / "classes_01.png")).astype(int)
    assert sheet.shape[2] == 3
    assert (np.ptp(sheet, axis=2) > 60).sum() > 500  # coloured masks
    assert main(["inspect", str(data), "--no-duplicates", "--no-cache"]) == 0
    assert "scene9" not in capsys.readouterr().out


def test_demo_trains_scores_and_leaves_pictures(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("fewshot.cli.demo.EPISODES", 8)
    out = tmp_path / "demo"
    assert main(["demo", "--out", str(out), "--minutes", "0.02"]) == 0
    said = capsys.readouterr().out
    assert "copy-mask" in said
    for name in ("contact_sheet.png", "nuclei.png", "brain.png"):
        assert read_header(out / name).size > (200, 200)
    scores = json.loads((out / "scores.json").read_text())["dice_model_copy_mask"]
    for model, copied in (*scores["nuclei"].values(), *scores["brain"].values()):
        assert copied + 0.2 < model <= 1


def test_runs_shows_what_differs_and_what_came_of_it(data, tmp_path, capsys):
    for name, rate in (("slow", "0.0001"), ("fast", "0.01")):
        arguments = ("train", str(data), "--out", str(tmp_path / "runs" / name), "--novel", "bar")
        more = ("--size", "64", "--minutes", "0", "--steps", "2", "--batch", "2")
        assert main([*arguments, *more, "--learning-rate", rate]) == 0
    assert main(["evaluate", str(tmp_path / "runs" / "fast"), "--episodes", "4"]) == 0
    capsys.readouterr()
    assert main(["runs", str(tmp_path / "runs"), "--csv", str(tmp_path / "runs.csv")]) == 0
    head, fast, slow = capsys.readouterr().out.splitlines()
    assert head.split()[:3] == ["run", "learning_rate", "steps"]
    assert fast.split()[1:3] == ["0.01", "2"]
    assert slow.split()[1] == "0.0001"
    assert "Dice model" in head
    assert (tmp_path / "runs.csv").read_text().count("\n") == 3
    assert main(["runs", str(data)]) == 2
    assert "no run in" in capsys.readouterr().err


@pytest.mark.filterwarnings("default:the marked structures are thin")
def test_share_writes_a_model_with_a_card_and_a_graph(data, tmp_path, monkeypatch, capsys):
    def graph(_segmenter, _support, path):  # tests/fewshot/test_export.py makes real ones
        return path.write_bytes(b"onnx")

    monkeypatch.setattr("fewshot.cli.share.export_onnx", graph)
    run, out = tmp_path / "run", tmp_path / "shared"
    arguments = ("train", str(data), "--out", str(run), "--novel", "bar", "--size", "64")
    assert main([*arguments, "--minutes", "0", "--steps", "1", "--batch", "1"]) == 0
    assert main(["evaluate", str(run), "--episodes", "2"]) == 0
    pair = ["--support", str(data / "images/scene0.png"), "--mask", str(data / "masks/scene0.png")]
    assert main(["share", str(run), "--out", str(out), "--licence", "cc-by-4.0", *pair]) == 0
    assert "thin at the 64 pixels at which the model was trained" in capsys.readouterr().err
    names = {path.name for path in out.iterdir()}
    assert names == {
        *("segmenter.json", "model.safetensors", "README.md"),
        *("support.safetensors", "segment.onnx"),
    }
    card = (out / "README.md").read_text()
    assert "license: cc-by-4.0" in card
    assert "| bar |" in card
    assert "held out: classes bar" in card
    assert main(["share", str(data), "--out", str(out)]) == 2


def test_segment_refines_fuses_and_adapts_as_asked(data, tmp_path, capsys):
    arguments = [
        *("segment", "--support", str(data / "images/scene0.png"), str(data / "images/scene1.png")),
        *("--mask", str(data / "masks/scene0.png"), str(data / "masks/scene1.png")),
        *("--query", str(data / "images/scene2.png"), "--size", "64"),
        *("--flip", "both", "--smooth", "walker", "--keep", "largest", "--proximity", "1"),
        *("--coordinates", "0.5", "--ensemble", "weighted", "--adapt", "0.01"),
    ]
    assert main([*arguments, "--out", str(tmp_path / "out")]) == 0
    summary = json.loads((tmp_path / "out/summary.json").read_text())
    assert summary["settings"]["postprocess"]["flip"] == "both"
    assert summary["settings"]["coordinates"] == 0.5
    assert summary["settings"]["ensemble"] == "weighted"
    assert 0 < summary["images"][0]["agreement"] <= 1
    assert (tmp_path / "out/support_2.safetensors").exists()
    assert main([*arguments, "--similarity", "2", "--out", str(tmp_path / "x")]) == 2
    assert "similarity is 2.0" in capsys.readouterr().err


@pytest.mark.filterwarnings("default")  # a command prints its warnings
def test_segment_warns_of_an_image_of_another_kind(tmp_path, capsys):
    nuclei, brain = bundled.path("nuclei"), bundled.path("brain")
    volume = nib.load(brain / "image_icbm.nii.gz").slicer[:, :, 22:23]
    nib.save(volume, tmp_path / "brain.nii.gz")
    code = main(
        [
            *("segment", "--support", str(nuclei / "images/img2d_00.png")),
            *("--mask", str(nuclei / "masks/img2d_00.png"), "--classes", "nucleus"),
            *("--query", str(tmp_path / "brain.nii.gz"), "--size", "128"),
            *("--out", str(tmp_path / "out")),
        ]
    )
    assert code == 0
    assert "hardly looks like the annotated images" in capsys.readouterr().err
    summary = json.loads((tmp_path / "out/summary.json").read_text())
    assert summary["images"][0]["agreement"] < 0.3
