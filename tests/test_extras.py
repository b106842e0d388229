"""Extras install what the package uses, and nothing else; those that need care work."""

import re
import tomllib
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS = PROJECT["optional-dependencies"]
FOR_US = {"bench", "notebooks", "dev", "mutants"}  # for tests, benchmarks and notebooks
MODULES = {
    "faster-coco-eval": "faster_coco_eval",
    "milvus-lite": "milvus_lite",
    "pymaxflow": "maxflow",
    "segmentation-models-pytorch": "segmentation_models_pytorch",
    "simpleitk": "SimpleITK",
    "tensorboard": "torch.utils.tensorboard",
}


def modules(requirements):
    """The module that each requirement brings."""
    names = [re.match(r"[\w.-]+", line)[0].lower() for line in requirements]
    return {MODULES.get(name, name) for name in names}


def source() -> str:
    files = [path for folder in ("fewshot", "episodes") for path in (ROOT / folder).rglob("*.py")]
    return "\n".join(path.read_text(encoding="utf-8") for path in files)


def test_an_extra_installs_what_the_package_imports():
    code = source()
    for extra, requirements in EXTRAS.items():
        for module in modules(requirements) if extra not in FOR_US else ():
            name = re.escape(module)
            used = rf"^\s*(import {name}\b|from {name}[\w.]* import)|import_optional\(\"{name}\b"
            assert re.search(used, code, re.M), f"[{extra}] installs {module}, which nothing uses"


def test_messages_name_extras_that_install_what_is_missing():
    code = source()
    asked = re.findall(r'import_optional\("([\w.]+)", "(\w+)"\)', code)
    assert len(asked) > 5
    for module, extra in asked:
        assert module.partition(".")[0] in modules(EXTRAS[extra]) or module == "math", module
    for extra in re.findall(r"fewshot-segmentation\[(\w+)\]", code):
        assert extra in EXTRAS


def test_a_source_archive_holds_what_make_test_needs():
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    kept = tomllib.loads(text)["tool"]["hatch"]["build"]["targets"]["sdist"]["include"]
    for name in ("constraints.txt", "Makefile", "docs", "tests", "README.md", "notebooks", "tools"):
        assert name in kept
        assert (ROOT / name).exists()


@pytest.mark.filterwarnings("ignore")  # it imports gym, which warns of itself
def test_learn2learn_adapts_a_model():
    import learn2learn

    model = torch.nn.Linear(2, 1)
    learner = learn2learn.algorithms.MAML(model, lr=0.1)
    clone = learner.clone()
    clone.adapt(clone(torch.ones(1, 2)).square().sum())
    assert not torch.equal(clone.module.weight, model.weight)
    clone(torch.ones(1, 2)).sum().backward()
    assert model.weight.grad is not None
