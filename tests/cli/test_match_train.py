"""Training on pairs, scores and one-shot runs from the command line."""

import io
import json
import os
import re
import signal
import zipfile

import numpy as np
import pytest
import torch
from PIL import Image

from episodes import plugins
from episodes.catalog.class_areas import compute_class_areas
from episodes.errors import DataError
from episodes.readers import read_catalog
from episodes.registry import UnknownPartError
from episodes.sampling.pairs import PairSampler
from fewshot.cli.main import main
from fewshot.experiments.embedding_losses import make_loss
from fewshot.experiments.options import HoldOut
from fewshot.experiments.pair_data import make_name_split, name_validation_split
from fewshot.experiments.pair_options import PairMonitor, PairOptions
from fewshot.models.embedding_network import load_embedding
from fewshot.registry import PAIR_LOSSES
from fewshot.siamese.losses.base import register_pair_loss
from fewshot.siamese.losses.contrastive import ContrastiveLoss
from fewshot.siamese.losses.triplet import AdaptiveMargin, TripletLoss

SMALL = [
    *("--network", "small", "--widths", "4", "8", "--blocks", "1", "--size", "32", "--dim", "8"),
    *("--minutes", "0", "--classes-per-batch", "2", "--images-per-class", "2"),
]


def drawings(path, folder, alphabets, characters=3, drawers=4):
    """An archive of drawings: lines at the angle of the character, drawn by several hands."""
    generator = np.random.default_rng(0)
    with zipfile.ZipFile(path, "w") as file:
        for a, alphabet in enumerate(alphabets):
            for character in range(characters):
                for drawer in range(drawers):
                    write(
                        file,
                        f"{folder}/{alphabet}/character{character + 1:02}/0001_{drawer + 1:02}.png",
                        line(a + 0.3 + np.pi * character / characters, generator),
                    )
    return path


def line(angle, generator):
    rows, columns = np.mgrid[:105, :105] - 52 + generator.integers(-6, 7, (2, 1, 1))
    across = rows * np.cos(angle) + columns * np.sin(angle)
    along = columns * np.cos(angle) - rows * np.sin(angle)
    return (np.abs(across) < 3) & (np.abs(along) < 30)


def write(file, name, ink):
    content = io.BytesIO()
    Image.fromarray(~ink).save(content, "png")
    file.writestr(name, content.getvalue())


@pytest.fixture(scope="module")
def omniglot(tmp_path_factory):
    """The three archives, tiny; the official runs are 20 of 20 as they have to be."""
    root = tmp_path_factory.mktemp("omniglot")
    drawings(root / "images_background.zip", "images_background", ["Latin", "Greek"])
    drawings(root / "images_evaluation.zip", "images_evaluation", ["Angelic"], 20, 6)
    generator = np.random.default_rng(1)
    with zipfile.ZipFile(root / "all_runs.zip", "w") as file:
        for run in range(1, 21):
            pairs = []
            for item in range(1, 21):
                shown, test = (
                    f"run{run:02}/training/class{item:02}.png",
                    f"run{run:02}/test/item{item:02}.png",
                )
                for name in (shown, test):
                    write(file, name, line(np.pi * item / 20, generator))
                pairs.append(f"{test} {shown}")
            file.writestr(f"run{run:02}/class_labels.txt", "\n".join(pairs))
    return root


def test_drawings_from_an_archive_to_a_result(omniglot, tmp_path, capsys):
    run, result = tmp_path / "run", tmp_path / "omniglot.json"
    train = [
        *("match", "train", str(omniglot / "images_background.zip"), "--identity", "class"),
        *(
            "--test-share",
            "0",
            "--rotation-classes",
            "4",
            "--augment",
            "none",
            "--loss",
            "arcface",
            *SMALL,
        ),
        *("--ink", "--ink-side", "16", "--pooling", "grid", "--centred", "--steps", "4"),
        *("--validate", "2", "--validation-names", "Greek", "--out", str(run)),
    ]
    assert main(train) == 0, capsys.readouterr().err
    said = capsys.readouterr().out
    assert "24 training images" in said
    about = json.loads((run / "split.json").read_text())
    assert about["validation"] == [f"Greek/character0{n}" for n in (1, 2, 3)]
    rows = [json.loads(row) for row in (run / "measured.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == [2, 4]
    assert {"validation_auc", "validation_eer", "validation_recall_at_1"} <= set(rows[0])
    assert load_embedding(run / "best").dim == load_embedding(run).dim == 8
    score = [
        *("match", "omniglot", str(omniglot), "--model", str(run), str(run / "best")),
        *("--views", "2", "--trials", "5", "--result", str(result)),
    ]
    assert main(score) == 0, capsys.readouterr().err
    heads = {head["name"]: head for head in json.loads(result.read_text())["headline"]}
    assert set(heads) == {
        "lake_20_runs_accuracy",
        *(f"{way}way_{shot}shot" for way in (5, 20) for shot in (1, 5)),
    }
    # Equal lines but for their place: the baseline, which takes the place away, knows them all.
    assert heads["lake_20_runs_accuracy"]["baseline"] > 95
    assert "The official runs, one by one" in result.with_suffix(".md").read_text()


def test_subjects_are_held_out_and_scored(index_set, tmp_path, capsys):
    run, result = tmp_path / "run", tmp_path / "results.json"
    train = [
        *("match", "train", str(index_set), "--subject-pattern", r"p\d+", "--test-share", "0.5"),
        *(*SMALL, "--memory", "8", "--memory-patience", "0", "--hard-negatives", "1"),
        *("--refresh", "2", "--average", "0.9", "--out", str(run)),
    ]
    assert main([*train, "--steps", "2"]) == 0, capsys.readouterr().err
    assert "4 training images of 2 subjects" in capsys.readouterr().out
    index = tmp_path / "index"
    assert main(["match", "build", str(index_set), "--index", str(index), "--model", str(run)]) == 0
    assert (run / "average" / "model.safetensors").exists()
    score = ["match", "score", str(index_set), "--subject-pattern", r"p\d+", "--model", str(run)]
    capsys.readouterr()
    assert main([*score, "--result", str(result), "--part", "toy", "--headline", "toy"]) == 0
    said = capsys.readouterr().out
    assert "4 images of 2 subjects never trained on, 2 pairs of one and 4 of two" in said
    assert re.search(r"trained: auc [\d.]+ \[", said)
    names = [head["name"] for head in json.loads(result.read_text())["headline"]]
    assert names == ["toy_auc", "toy_eer", "toy_recall_at_1"]
    assert main([*score, "--identity", "class"]) == 2
    assert "trained with --identity subject" in capsys.readouterr().err
    assert main(["match", "omniglot", str(index_set), "--model", str(run)]) == 2
    assert "images_background.zip alone" in capsys.readouterr().err


def test_a_stopped_run_goes_on_as_if_it_had_not_stopped(index_set, tmp_path, monkeypatch, capsys):
    """With a memory and hard negatives, which are part of what it goes on from."""

    def train(run, *more):
        return main(
            [
                *("match", "train", str(index_set), "--subject-pattern", r"p\d+"),
                *(*SMALL, "--memory", "8", "--memory-patience", "0", "--hard-negatives", "1"),
                *("--refresh", "2", "--test-share", "0", "--out", str(run), "--steps", "4", *more),
            ]
        )

    load, drawn = PairSampler.load, []

    def ctrl_c(sampler, *which):
        drawn.append(which)
        if len(drawn) == 2:
            os.kill(os.getpid(), signal.SIGINT)
        return load(sampler, *which)

    with monkeypatch.context() as patch:
        patch.setattr(PairSampler, "load", ctrl_c)
        assert train(tmp_path / "stopped") == 130
    assert train(tmp_path / "stopped") == 2
    assert "go on with --resume" in capsys.readouterr().err
    assert train(tmp_path / "stopped", "--resume") == 0
    assert train(tmp_path / "whole") == 0
    assert train(tmp_path / "whole") == 2
    assert "--overwrite" in capsys.readouterr().err
    stopped, whole = (
        (tmp_path / name / "model.safetensors").read_bytes() for name in ("stopped", "whole")
    )
    assert stopped == whole


def test_recipes_of_pairs_and_of_episodes_are_kept_apart(index_set, tmp_path, capsys):
    assert main(["match", "train", str(index_set), "--recipe", "superpixels-local"]) == 2
    assert "is for `fewshot train`; recipes of `fewshot match train` are" in capsys.readouterr().err
    assert main(["train", str(index_set), "--recipe", "omniglot"]) == 2
    assert "is for `fewshot match train`" in capsys.readouterr().err
    run = tmp_path / "run"
    train = [*("match", "train", str(index_set), "--recipe", "omniglot", "--out", str(run)), *SMALL]
    assert main([*train, "--rotation-classes", "1", "--widths", "4", "8", "8", "--steps", "1"]) == 2
    assert "blocks" in capsys.readouterr().err


@pytest.fixture
def catalog(omniglot):
    return compute_class_areas(read_catalog(omniglot / "images_background.zip"))


def test_classes_are_held_out_by_name_group_and_share(catalog):
    named = make_name_split(catalog, HoldOut(novel=("Greek", "Latin/character01")), "class")
    assert named.train.classes == ("Latin/character02", "Latin/character03")
    assert (len(named.train), len(named.test)) == (8, 16)
    drawn = make_name_split(catalog, HoldOut(test_share=0.3), "class")
    assert len(drawn.test.classes) == 2
    assert not {s.key for s in drawn.train.samples} & {s.key for s in drawn.test.samples}
    assert (
        make_name_split(catalog, HoldOut(test_share=0.3), "class").test.classes
        == drawn.test.classes
    )
    none = make_name_split(catalog, HoldOut(test_share=0.0), "subject")
    assert (len(none.train), len(none.test)) == (24, 0)
    subjects = make_name_split(catalog, HoldOut(test_subjects=("01",)), "subject")
    assert subjects.test.subjects == ("01",)
    for held, identity, said in (
        (HoldOut(novel=("Korean",)), "class", "there is no class 'Korean'"),
        (HoldOut(test_share=0.99), "class", "0 classes are left"),
        (HoldOut(test_share=1.5), "class", "test-share is 1.5"),
        (HoldOut(test_subjects=("01",)), "class", "--novel"),
        (HoldOut(training_exclusion="any"), "subject", "--training-exclusion any"),
    ):
        with pytest.raises(DataError, match=said):
            make_name_split(catalog, held, identity)


def test_validation_is_asked_for_in_full(catalog):
    assert name_validation_split(catalog, PairMonitor(), "class", 0) == (catalog, None)
    learnt, aside = name_validation_split(
        catalog, PairMonitor(validate=5, validation_names=("Greek",)), "class", 0
    )
    assert {name.partition("/")[0] for name in learnt.classes} == {"Latin"}
    assert len(aside) == 12
    with pytest.raises(DataError, match="add --validate STEPS"):
        name_validation_split(catalog, PairMonitor(patience=2), "class", 0)
    with pytest.raises(DataError, match="validation-share is 0"):
        name_validation_split(catalog, PairMonitor(validate=5, validation_share=0.0), "class", 0)


@pytest.mark.parametrize("name", PAIR_LOSSES.names())
def test_every_loss_is_made_with_its_margin_and_scale(name):
    loss = make_loss(PairOptions(loss=name), classes=5, dim=4, seed=0)
    assert loss.takes_references == (name not in ("arcface", "proxy-anchor"))


def test_a_registered_loss_is_a_choice():
    @register_pair_loss("my-loss", margin=0.7)
    def build(given):
        return ContrastiveLoss(given.margin)

    try:
        loss = make_loss(PairOptions(loss="my-loss"), 5, 4, 0)
        assert loss.margin == 0.7
        with pytest.raises(
            DataError, match=r"scale is 2, but my-loss has none; .* arcface, circle"
        ):
            make_loss(PairOptions(loss="my-loss", scale=2), 5, 4, 0)
    finally:
        PAIR_LOSSES.forget(__name__)
    with pytest.raises(UnknownPartError, match="no pair loss 'my-loss'"):
        make_loss(PairOptions(loss="my-loss"), 5, 4, 0)


def test_margins_scales_and_minings():
    def made(**options):
        return make_loss(PairOptions(**options), 5, 4, 0)

    assert (made(margin=0.3).margin, made(margin="soft").margin) == (0.3, "soft")
    assert isinstance(made(margin="adaptive").margin, AdaptiveMargin)
    assert made(mining="semi-hard").mining == "semi-hard"
    assert made(loss="nt-xent", scale=5.0).temperature == pytest.approx(0.2)
    assert (made(loss="arcface", scale=9.0).scale, made(loss="arcface").margin) == (9.0, 0.5)
    assert made(loss="proxy-anchor", margin=0.2).delta == 0.2
    for options, said in (
        ({"loss": "nt-xent", "margin": 0.1}, "margin is 0.1, but nt-xent has none"),
        ({"loss": "triplet", "scale": 1.0}, "scale is 1.0, but triplet has none"),
        ({"loss": "circle", "margin": "soft"}, "circle takes a number"),
        ({"loss": "circle", "mining": "hard"}, "mining is hard"),
    ):
        with pytest.raises(DataError, match=said):
            made(**options)


def test_the_seed_decides_the_first_weights_too(index_set, tmp_path):
    """Another run with the same seed gives the same weights; torch's own state stays."""
    drawn = []
    for name, seed in (("one", 1), ("two", 1), ("three", 2)):
        state = torch.random.get_rng_state()
        options = ["--network", "small", "--size", "32", "--seed", str(seed), "--steps", "1"]
        options += [
            "--subject-pattern",
            r"p\d+",
            "--classes-per-batch",
            "4",
            "--images-per-class",
            "2",
        ]
        words = ["match", "train", str(index_set), *options, "--minutes", "0"]
        assert main([*words, "--out", str(tmp_path / name), "--test-share", "0"]) == 0
        assert torch.equal(torch.random.get_rng_state(), state)
        network = load_embedding(tmp_path / name)
        drawn.append(torch.cat([weight.flatten() for weight in network.parameters()]))
    assert torch.equal(drawn[0], drawn[1])
    assert not torch.equal(drawn[0], drawn[2])


MINER = """
from fewshot.siamese.miners.base import register_anchor_miner
from fewshot.siamese.miners.hardest import farthest


@register_anchor_miner("my-miner")
def mine(distances, partners):
    return farthest(distances, partners)
"""


def test_a_miner_of_a_plugin(index_set, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv(plugins.VARIABLE, "")
    path, run = tmp_path / "my_miner.py", tmp_path / "run"
    path.write_text(MINER)
    train = ["match", "train", str(index_set), "--subject-pattern", r"p\d+", *SMALL, "--steps", "1"]
    train += ["--test-share", "0", "--out", str(run), "--mining", "my-miner"]
    assert main(train) == 2
    assert "my-miner" in capsys.readouterr().err
    assert main([*train, "--plugin", str(path)]) == 0, capsys.readouterr().err
    plugins.unload_plugins()
    with pytest.raises(UnknownPartError, match="no miner 'my-miner'; expected one of all, angular"):
        TripletLoss("my-miner")
