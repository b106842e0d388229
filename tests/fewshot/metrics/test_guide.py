"""The guide holds what its script computes, and every picture that it shows."""

import importlib.util
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]


def load_script():
    spec = importlib.util.spec_from_file_location("guide", ROOT / "tools" / "guide_pictures.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_tables_are_up_to_date():
    script = load_script()
    text = script.GUIDE.read_text(encoding="utf-8")
    tables = {name: scene()[1] for name, scene in script.SCENES.items()}
    assert script.filled(text, tables) == text, "run python tools/guide_pictures.py"


def test_pictures_are_there_and_small():
    script = load_script()
    shown = re.findall(r"!\[.+?\]\(pictures/(.+?)\.png\)", script.GUIDE.read_text(encoding="utf-8"))
    assert sorted(shown) == sorted(script.SCENES)
    for name in shown:
        assert 1000 < (script.PICTURES / f"{name}.png").stat().st_size < 100_000


def test_the_pictures_show_what_the_text_says():
    script = load_script()
    rows = {
        name: {row[0]: row[1:] for row in scene()[1][1]} for name, scene in script.SCENES.items()
    }
    bad = rows["one-bad-case"]
    assert bad["steady"][0] > bad["one failure"][0]
    assert bad["steady"][1] < bad["one failure"][1]
    assert rows["imbalance"]["nothing"][0] > rows["imbalance"]["too much"][0]
    thin = rows["thin-structures"]
    assert thin["whole but thin"][0] < thin["broken"][0]
    assert thin["whole but thin"][1] > thin["broken"][1]
    assert thin["whole but thin"][2] > thin["broken"][2]
    assert rows["counting"]["merged"][0] == "1.000"
    assert rows["counting"]["merged"][1] < rows["counting"]["apart but small"][1]
    small = rows["counting"]["apart but small"]
    assert small[2] == min(small[:5])
    speck = rows["outlines"]["a stray speck"]
    assert speck[3] == "0.00"
    assert float(speck[2]) > 40
