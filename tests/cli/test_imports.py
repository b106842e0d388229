"""What is imported when: torch only for work, and of the slow libraries none without need."""

import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from tests.fewshot.conftest import disc_scene

HEAVY = ("torch", "torch._dynamo", "torch._inductor", "torchvision", "timm", "accelerate")
HEAVY += ("matplotlib", "skimage", "nibabel", "tifffile", "sympy", "huggingface_hub", "pandas")


@pytest.fixture
def pair(tmp_path):
    image, labels = disc_scene(0)
    Image.fromarray(image).save(tmp_path / "image.png")
    Image.fromarray(np.where(labels == 1, 255, 0).astype(np.uint8)).save(tmp_path / "mask.png")
    Image.fromarray(np.full((20, 20), 255, np.uint8)).save(tmp_path / "small.png")
    return tmp_path


def imported(folder, mask: str, query: str = "image.png", *more: str) -> tuple[list[str], str]:
    """Run `segment` in a process of its own; the heavy modules it imported, and what it printed."""
    paths = ["--support", "image.png", "--mask", mask, "--query", query, "--out", "out", *more]
    code = (
        "import sys\nfrom fewshot.cli.main import main\n"
        f"main(['segment', *{paths!r}])\n"
        f"print(*({{*{HEAVY!r}}} & {{*sys.modules}}))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()[-1].split(), done.stderr


def test_segmenting_imports_torch_and_nothing_else_that_is_slow(pair):
    modules, said = imported(pair, "mask.png", "image.png", "--predictor", "end-to-end")
    assert "error" not in said
    assert (pair / "out" / "image.png").exists() or list((pair / "out").glob("*image*"))
    assert modules == ["torch"]


def test_methods_import_no_library_that_they_do_not_use(pair):
    """Scikit-learn brings pandas where it is installed."""
    modules, said = imported(pair, "mask.png", "image.png", "--method", "deep-logistic", "place")
    assert "error" not in said
    assert {"torch"} <= set(modules) <= {"torch", "pandas"}


def test_scoring_masks_imports_no_torch(pair):
    code = (
        "import sys\nfrom fewshot.cli.main import main\n"
        "assert main(['score', 'mask.png', 'mask.png']) == 0\n"
        f"print(*({{*{HEAVY!r}}} & {{*sys.modules}}))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=pair, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == ""


@pytest.mark.parametrize(
    ("mask", "query", "said"),
    [
        ("small.png", "image.png", "20"),
        ("nothing.png", "image.png", "there is no file"),
        ("mask.png", "nothing.png", "there is no file"),
    ],
)
def test_what_is_refused_has_not_imported_torch(pair, mask, query, said):
    modules, error = imported(pair, mask, query)
    assert said in error
    assert modules == []
    assert not (pair / "out").exists()
