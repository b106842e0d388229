import numpy as np
import pytest
from PIL import Image

from episodes.errors import DataError
from fewshot.models.checkpoint import load_network
from fewshot.training.pictures import train_on_pictures
from tests.fewshot.conftest import disc_scene


def test_pictures_without_labels_train_a_network_that_is_kept(tmp_path):
    paths = []
    for seed in range(2):
        paths.append(tmp_path / f"folder{seed}" / "scene.png")  # of one name in two folders
        paths[-1].parent.mkdir()
        Image.fromarray(disc_scene(seed)[0]).save(paths[-1])
    (tmp_path / "broken.png").write_bytes(b"\x89PNG")
    out = tmp_path / "out"
    network = train_on_pictures([*paths, tmp_path / "broken.png"], 0.01, out)
    assert not network.training
    assert load_network(out).fingerprint() == network.fingerprint()
    steps = len((out / "log.jsonl").read_text().splitlines())
    again = train_on_pictures(paths, 0.01, out)  # the minutes are spent
    assert again.fingerprint() == network.fingerprint()
    assert len((out / "log.jsonl").read_text().splitlines()) == steps
    with pytest.warns(UserWarning, match="trained on other pictures"):
        train_on_pictures(paths[:1], 0.01, out)


def test_nothing_to_train_on_is_refused(tmp_path):
    (tmp_path / "broken.png").write_bytes(np.zeros(5, np.uint8).tobytes())
    with pytest.raises(DataError, match="none of 1 pictures can be trained on"):
        train_on_pictures([tmp_path / "broken.png"], 0.01, tmp_path / "out")
