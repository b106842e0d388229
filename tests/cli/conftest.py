import pytest
from PIL import Image

from tests.fewshot.conftest import disc_scene


def write_pair(folder, name, seed):
    image, labels = disc_scene(seed)
    for kind, pixels in (("images", image), ("masks", labels)):
        (folder / kind).mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(folder / kind / f"{name}.png")


@pytest.fixture
def data(tmp_path):
    """Eight annotated scenes with two classes."""
    for seed in range(8):
        write_pair(tmp_path / "data", f"scene{seed}", seed)
    (tmp_path / "data" / "classes.yaml").write_text("1: disc\n2: bar\n")
    return tmp_path / "data"
