"""One annotated image through the commands: the protocol, and looking twice."""

import json

import numpy as np
import pytest
from PIL import Image

from fewshot.cli.main import main


@pytest.fixture
def patients(tmp_path):
    """Four patients with three pictures of one small disc each, in two folders."""
    folder = tmp_path / "patients"
    for number in range(4):
        part = "Test" if number < 2 else "Train"
        for view in range(3):
            y, x = np.mgrid[:64, :64]
            inside = np.hypot(y - 30 - number, x - 28 - view) < 6
            noise = np.random.default_rng(number).integers(0, 60, (64, 64))
            for kind, values in (("images", noise + 180 * inside), ("masks", 255 * inside)):
                target = folder / part / kind / f"p{number}-{view}.png"
                target.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(values.astype(np.uint8)).save(target)
    return folder


def test_one_annotated_image_for_all_images_of_other_subjects(patients, tmp_path, capsys):
    run, result = tmp_path / "run", tmp_path / "one.json"
    train = ["train", str(patients / "Train"), "--out", str(run), "--size", "64", "--steps", "1"]
    assert (
        main(
            [
                *train,
                "--minutes",
                "0",
                "--batch",
                "1",
                "--superpixels",
                "1",
                "--novel",
                "foreground",
            ]
        )
        == 0
    )
    command = [
        *("protocol", str(patients), "--protocols", "one-image", "--test-folder", "Test"),
        *("--subject-pattern", r"(p\d)-", "--model", str(run), "--zoom", "2.5"),
        *("--keep", "largest", "--result", str(result), "--headline", "one"),
    ]
    code = main(command)
    said = capsys.readouterr()
    assert code == 0, said.err
    content = json.loads(result.read_text())
    assert content["settings"]["settings"]["zoom"] == 2.5
    rows = {row["method"]: row for row in content["results"]}
    assert rows["model"]["subjects"] == 2
    assert set(rows["model"]["by_run"]) == {"support 0", "support 1"}
    assert rows["copy-mask"]["mean"] > 50  # discs hardly move
    assert content["headline"][0]["name"] == "one"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--protocols", "one-image"], "no test subject"),
        (["--protocols", "one-image", "--test-folder", "Tset"], "Tset"),
        (["--protocols", "one-image", "--test-subjects", "p9"], "p9"),
        (["--protocols", "one-image", "--test-subjects", "p0", "--support", "7"], "support is 7"),
        (["--protocols", "one-image", "--test-subjects", "p0", "--shot", "2"], "takes no --shot"),
        (["--protocols", "one-image", "alpnet", "--test-subjects", "p0"], "by itself"),
        (["--protocols", "alpnet", "--zoom", "2"], "takes no --zoom"),
    ],
)
def test_one_image_refuses_what_does_not_fit(patients, capsys, options, message):
    assert main(["protocol", str(patients), "--subject-pattern", r"(p\d)-", *options]) == 2
    assert message in capsys.readouterr().err


def test_segment_looks_twice_where_the_structure_is_small(patients, tmp_path, capsys):
    def run(*more: str) -> dict:
        out = tmp_path / "-".join(("out", *more))
        code = main(
            [
                *("segment", "--support", str(patients / "Train/images/p2-0.png")),
                *("--mask", str(patients / "Train/masks/p2-0.png"), "--out", str(out)),
                *("--query", str(patients / "Test/images/p0-0.png"), "--keep", "largest", *more),
            ]
        )
        assert code == 0
        return json.loads((out / "summary.json").read_text())

    assert run("--zoom", "2.5")["settings"]["zoom"] == 2.5
    assert (tmp_path / "out---zoom-2.5/support_window.safetensors").exists()
    capsys.readouterr()
    run("--zoom", "9")
    assert "looking once" in capsys.readouterr().out
    arguments = ["--support", "a.png", "--mask", "a.png", "--query", "a.png"]
    assert main(["segment", *arguments, "--out", str(tmp_path / "x"), "--zoom", "-1"]) == 2
