"""What commands write: never over an input or a file of the user's; stopped runs go on."""

import hashlib
import json
import unicodedata
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from episodes.errors import DataError
from episodes.io.outputs import Outputs, guarded
from episodes.io.write import write_json
from fewshot.archive.ledger import LEDGER, Ledger
from fewshot.archive.queries import Query, list_queries, result_names, results_of
from fewshot.cli.dispatch import parse
from fewshot.cli.main import main
from fewshot.cli.segment import _settings as masks_settings
from tests.fewshot.conftest import disc_scene

ROWS, COLUMNS = np.mgrid[:64, :80]


def picture(path: Path, seed: int = 0) -> Path:
    noise = np.random.default_rng(seed)
    inside = (ROWS - 30) ** 2 + (COLUMNS - 35 - seed % 7) ** 2 < 15**2
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = noise.normal(60, 10, inside.shape) + 110 * inside
    Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(path)
    return path


@pytest.fixture
def annotated(tmp_path):
    picture(tmp_path / "annotated" / "a.png")
    mask = ((ROWS - 30) ** 2 + (COLUMNS - 35) ** 2 < 15**2).astype(np.uint8) * 255
    Image.fromarray(mask).save(tmp_path / "annotated" / "a_mask.png")
    return [
        "segment",
        "--support",
        f"{tmp_path}/annotated/a.png",
        *("--mask", f"{tmp_path}/annotated/a_mask.png", "--size", "64"),
    ]


def contents(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.md5(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file()
    }


def changed(before: dict[str, str], folder: Path) -> list[str]:
    after = contents(folder)
    return [name for name, found in before.items() if after.get(name) != found]


def test_names_with_dots_and_names_of_outputs(annotated, tmp_path, capsys):
    names = ["dose_0.1_a.png", "dose_0.2_a.png", "summary.png", "a.png", "A.png", "a_overlay.png"]
    names += [unicodedata.normalize(form, "é.png") for form in ("NFC", "NFD")]
    for seed, name in enumerate(names):
        picture(tmp_path / "query" / name, seed)
    out = tmp_path / "out"
    assert main([*annotated, "--query", f"{tmp_path}/query", "--out", str(out)]) == 0
    rows = json.loads((out / "summary.json").read_text())["images"]
    assert sorted(row["image"] for row in rows) == sorted(names)
    files = [row[kind] for row in rows for kind in ("mask", "overlay")]
    files += [results_of(Path(row["mask"]))[2].name for row in rows]
    assert len({unicodedata.normalize("NFC", f.casefold()) for f in files}) == 3 * len(names)
    assert all((out / name).is_file() for name in files)
    assert {"dose_0.1_a.png", "dose_0.2_a.png"} <= {row["mask"] for row in rows}
    assert "summary.png: its mask is called summary_png.png" in capsys.readouterr().out


def test_output_among_the_queries(annotated, tmp_path, capsys):
    picture(tmp_path / "nested" / "sub" / "y.png")
    (tmp_path / "link").symlink_to(tmp_path / "nested")
    before = contents(tmp_path)
    for out in ("nested", "link"):
        assert main([*annotated, "--query", f"{tmp_path}/nested", "--out", f"{tmp_path}/{out}"])
        assert "is an input" in capsys.readouterr().err
    assert not changed(before, tmp_path)
    for _ in range(2):
        inside = ["--query", f"{tmp_path}/nested", "--out", f"{tmp_path}/nested/out"]
        assert main([*annotated, *inside]) == 0
        assert "1 of 1 images" in capsys.readouterr().out
    assert not changed(before, tmp_path)


def test_files_of_the_user_stay(annotated, tmp_path, capsys):
    query, out = picture(tmp_path / "query" / "x.png"), tmp_path / "out"
    out.mkdir()
    for name in ("x.png", "summary.json"):
        (out / name).write_text('{"mine": 1}')
        before = contents(tmp_path)
        assert main([*annotated, "--query", str(query), "--out", str(out)]) == 2
        assert "--overwrite" in capsys.readouterr().err
        assert not changed(before, tmp_path)
        (out / name).unlink()
    (out / "x.png").hardlink_to(query)
    assert main([*annotated, "--query", str(query), "--out", str(out), "--overwrite"]) == 2
    (out / "x.png").unlink()
    (tmp_path / "mine.txt").write_text("mine")
    (out / LEDGER).symlink_to(tmp_path / "mine.txt")
    assert main([*annotated, "--query", str(query), "--out", str(out), "--overwrite"]) == 2
    assert (tmp_path / "mine.txt").read_text() == "mine"


def test_a_stopped_run_goes_on(annotated, tmp_path, capsys):
    for seed in range(4):
        picture(tmp_path / "query" / f"{seed}.png", seed)
    command = [*annotated, "--query", f"{tmp_path}/query", "--out", f"{tmp_path}/out"]
    from fewshot.inference.result import Segmentation

    summary, saved = Segmentation.summary, []

    def ctrl_c(result):
        saved.append(1)
        if len(saved) == 3:
            raise KeyboardInterrupt
        return summary(result)

    with mock.patch.object(Segmentation, "summary", ctrl_c):
        assert main(command) == 130
    content = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert (len(content["images"]), content["missing"]) == (2, 2)
    with (tmp_path / "out" / LEDGER).open("ab") as file:
        file.write(b'{"query": "half')  # what a kill leaves
    done = contents(tmp_path / "out")
    capsys.readouterr()
    assert main(command) == 0
    assert "4 of 4 images segmented, 2 of them by an earlier run" in capsys.readouterr().out
    assert not [name for name in changed(done, tmp_path / "out") if name in ("0.png", "1.png")]
    Image.fromarray(np.full((64, 80), 255, np.uint8)).save(tmp_path / "out" / "0.png")
    picture(tmp_path / "query" / "1.png", 17)
    assert main(command) == 0
    said = capsys.readouterr().out
    assert "3 of them by an earlier run" in said
    assert "0.png: changed after it was written; kept" in said
    other = [*command, "--threshold", "0.7"]
    assert main(other) == 2  # the corrected mask would be replaced
    assert "0.png exists" in capsys.readouterr().err


def test_many_odd_files_end_with_one_line_each(annotated, tmp_path, capsys):
    folder = tmp_path / "query"
    good = picture(folder / "good.png").read_bytes()
    odd = np.random.default_rng(0)
    endings = ("png", "jpg", "tif", "nii.gz", "npy", "bmp", "gif", "webp", "pgm", "pfm")
    for number in range(198):
        kind = odd.integers(4)
        content = (b"", odd.bytes(300), good[: odd.integers(1, len(good))], b"\n" * 64)[kind]
        (folder / f"odd{number}.{endings[number % len(endings)]}").write_bytes(content)
    (folder / "nowhere.png").symlink_to(folder / "nothing")
    assert main([*annotated, "--query", str(folder), "--out", f"{tmp_path}/out"]) == 2
    content = json.loads((tmp_path / "out" / "summary.json").read_text())
    lines = capsys.readouterr().err.split("failed:\n")[1].strip().split("\n")
    assert len(content["images"]) + len(lines) == 200
    assert len(content["failed"]) == len(lines)
    assert all(str(folder) in line for line in lines)
    assert (tmp_path / "out" / "good.png").is_file()


def test_masks_of_a_gallery_keep_its_values(tmp_path, capsys):
    for seed in range(3):
        image, labels = disc_scene(seed)
        for kind, pixels in (("images", image), ("masks", labels.astype(np.uint16) * 300)):
            (tmp_path / "data" / kind).mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(tmp_path / "data" / kind / f"{seed}.png")
    (tmp_path / "data" / "classes.json").write_text('{"300": "disc", "600": "bar"}')
    query = tmp_path / "query.png"
    Image.fromarray(disc_scene(5)[0]).save(query)
    command = ["match", "segment", f"{tmp_path}/data", "--query", str(query), f"{tmp_path}/no.png"]
    before = contents(tmp_path)
    assert main([*command[:-1], "--out", f"{tmp_path}/data/out"]) == 2
    assert "lies in" in capsys.readouterr().err
    bad = tmp_path / "bad.png"
    bad.write_bytes(b"bad")
    assert main([*command[:-1], str(bad), "--out", f"{tmp_path}/out"]) == 2
    values = np.unique(np.asarray(Image.open(tmp_path / "out" / "query.png")))
    assert set(values) <= {0, 300, 600}
    assert len(values) > 1
    content = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert content["classes"] == {"disc": 300, "bar": 600}
    assert len(content["failed"]) == 1
    capsys.readouterr()
    assert main([*command[:-1], "--out", f"{tmp_path}/out"]) == 0
    assert "1 of them by an earlier run" in capsys.readouterr().out
    assert not changed(before, tmp_path)


NAMES = st.sampled_from(
    [
        "data",
        "data/images",
        "data/images/a.png",
        "data/classes.json",
        "model",
        "notes.json",
        "notes.md",
        "query.png",
        "new",
        "new/x.json",
        "link",
        "data/masks",
        "README.md",
    ]
)
COMMANDS = st.sampled_from(
    [
        ["inspect", "data", "--no-cache", "--json", "OUT"],
        ["inspect", "data", "--no-cache", "--pictures", "OUT"],
        ["runs", "model", "--csv", "OUT"],
        [
            "segment",
            "--support",
            "data/images/a.png",
            "--mask",
            "data/masks/a.png",
            "--query",
            "query.png",
            "--size",
            "32",
            "--out",
            "OUT",
        ],
        ["match", "segment", "data", "--query", "query.png", "--out", "OUT"],
        ["match", "query", "query.png", "--index", "data", "--out", "OUT"],
        ["match", "threshold", "data", "--out", "OUT"],
        ["share", "model", "--out", "OUT"],
        ["calibrate", "data"],
        ["score", "data/masks", "data/masks", "--out", "OUT"],
        ["evaluate", "model", "--result", "OUT"],
        ["protocol", "data", "--protocols", "one-image", "--test-subjects", "a", "--result", "OUT"],
        ["train", "data", "--out", "OUT", "--steps", "1", "--batch", "1", "--size", "32"],
    ]
)


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(command=COMMANDS, out=NAMES, overwrite=st.booleans())
def test_no_command_changes_a_file_that_was_there(tmp_path_factory, command, out, overwrite):
    root = tmp_path_factory.mktemp("house")
    for seed, name in enumerate("ab"):
        picture(root / "data" / "images" / f"{name}.png", seed)
        mask = ((ROWS - 30) ** 2 + (COLUMNS - 35 - seed) ** 2 < 15**2).astype(np.uint8)
        (root / "data" / "masks").mkdir(exist_ok=True)
        Image.fromarray(mask).save(root / "data" / "masks" / f"{name}.png")
    picture(root / "query.png", 3)
    (root / "data" / "classes.json").write_text('{"1": "disc"}')
    (root / "notes.json").write_text('{"mine": 1}')
    (root / "notes.md").write_text("mine")
    (root / "README.md").write_text("mine")
    (root / "model").mkdir()
    (root / "model" / "settings.json").write_text("{}")
    (root / "link").symlink_to(root / "data")
    inputs = root / "data" if overwrite and "--out" in command else root
    before = contents(inputs)
    words = [str(root / (out if word == "OUT" else word)) if _is_path(word) else word
             for word in command]  # fmt: skip
    with mock.patch.dict("os.environ", {"XDG_CACHE_HOME": str(root / "cache")}):
        main([*words, *(["--overwrite"] if overwrite and command[0] == "segment" else [])])
    assert not changed(before, inputs)


def _is_path(word: str) -> bool:
    return word in ("OUT", "data", "model", "query.png") or word.startswith("data/")


def test_guard_by_hand(tmp_path):
    mine, theirs = tmp_path / "mine.json", tmp_path / "result.json"
    mine.write_text("{}")
    theirs.write_text('{"headline": [], "machine": "any"}')
    source = tmp_path / "in" / "x.json"
    source.parent.mkdir()
    source.write_text("{}")
    (tmp_path / "in" / "far.json").symlink_to(mine)
    with guarded(Outputs([tmp_path / "in"])):
        write_json(tmp_path / "new.json", {})
        write_json(tmp_path / "new.json", {"again": 1})
        write_json(theirs, {"headline": [1], "machine": "other"})
        for path in (mine, source):
            with pytest.raises(DataError, match=path.name):
                write_json(path, {"lost": 1})
    with guarded(Outputs([tmp_path / "in"], overwrite=True)):
        for path in (source, mine):  # an input by a link, too
            with pytest.raises(DataError, match="among the inputs"):
                write_json(path, {"lost": 1})
    assert mine.read_text() == source.read_text() == "{}"
    write_json(mine, {"a script": "may"})


def test_ledger_by_hand(tmp_path):
    (tmp_path / "x.png").write_bytes(b"mask")
    ledger = Ledger(tmp_path)
    ledger.begin("q", ["x.png", "y.png"])
    assert Ledger(tmp_path).owns(tmp_path / "y.png")
    (tmp_path / LEDGER).write_bytes((tmp_path / LEDGER).read_bytes() + b'{"que')
    again = Ledger(tmp_path)
    again.mend()
    again.end("", {"settings": "", "content": "", "files": {"summary.json": None}})
    assert Ledger(tmp_path).owns(tmp_path / "summary.json")
    for content in (b"", b"my own list\n", b"[1]\n"):
        (tmp_path / LEDGER).write_bytes(content)
        with pytest.raises(DataError, match="no list of results"):
            Ledger(tmp_path)


@given(st.lists(st.text("aAéÉe\u0301. _~", min_size=1, max_size=6), unique=True, max_size=12))
def test_results_never_share_a_name(stems):
    queries = [(Query(Path(f"{n}/{s}.png"), Path(f"{s}.png")), ".png") for n, s in enumerate(stems)]
    masks = result_names(queries, {}, ["summary.json"])
    files = [p for mask in masks.values() for p in results_of(mask)]
    keys = {
        unicodedata.normalize("NFC", unicodedata.normalize("NFC", str(p)).casefold()) for p in files
    }
    assert len(keys) == 3 * len(queries)


def test_names_that_are_too_long(tmp_path):
    names = ["n" * 251 + ".png", "n" * 250 + ".png", "a" + "細" * 83 + ".png"]
    queries = [(Query(Path(name), Path(name)), ".png") for name in names]
    for mask in result_names(queries, {}, []).values():
        for path in results_of(mask):
            assert len(path.name.encode("utf-8")) <= 255  # and no half character
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "loop").symlink_to(tmp_path / "b")
    (tmp_path / "b" / "x.png").write_bytes(b"")
    assert [query.name.name for query in list_queries([tmp_path / "b"])] == ["x.png"]


def test_permission_to_overwrite_is_no_setting_of_a_mask(tmp_path):
    image = str(picture(tmp_path / "a.png"))
    typed = ["segment", "--support", image, "--mask", image, "--query", image, "--out", "masks"]
    first = masks_settings(parse(typed))
    assert masks_settings(parse([*typed, "--overwrite"])) == first
    assert masks_settings(parse([*typed, "--size", "64"])) != first
    assert masks_settings(parse([*typed, "--classes", "1=a"])) != first
