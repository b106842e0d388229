import io
import zipfile

import numpy as np
import pytest
from PIL import Image
from torch.utils.data import DataLoader

from episodes.catalog.class_areas import compute_class_areas
from episodes.catalog.loader import Loader
from episodes.errors import DataError
from episodes.readers import read_catalog

INK = np.zeros((105, 105), bool)
INK[30:60, 40:50] = True


def drawing(ink=INK):
    content = io.BytesIO()
    Image.fromarray(~ink).save(content, "png")
    return content.getvalue()


@pytest.fixture
def omniglot(tmp_path):
    def make(content=None):
        for part, alphabet in (("background", "Latin"), ("evaluation", "Angelic")):
            path = tmp_path / f"images_{part}.zip"
            with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
                file.writestr(f"images_{part}/{alphabet}/", "")
                for character in (1, 2):
                    for drawer in (1, 20):
                        name = f"{alphabet}/character{character:02}/0001_{drawer:02}.png"
                        file.writestr(f"images_{part}/{name}", content or drawing())
        return tmp_path

    return make


def test_characters_are_classes_and_drawers_subjects(omniglot):
    catalog = compute_class_areas(read_catalog(omniglot()))
    assert catalog.layout == "omniglot"
    assert len(catalog) == 8
    assert catalog.subjects == ("01", "20")
    assert set(catalog.classes) == {
        f"{alphabet}/character0{n}" for alphabet in ("Latin", "Angelic") for n in (1, 2)
    }
    first = catalog.samples[0]
    key = "images_background.zip/images_background/Latin/character01/0001_01.png"
    assert first.key == key
    assert first.areas == {"Latin/character01": 300}
    assert first.size == (105, 105)
    loader = Loader(105)
    image, labels = loader.image(first)[0].numpy(), loader.labels(first, catalog.classes[:1])
    np.testing.assert_array_equal(labels.numpy() == 1, INK)
    np.testing.assert_array_equal(image == 0, INK)


def test_only_one_archive(omniglot):
    root = omniglot()
    (root / "images_evaluation.zip").unlink()
    catalog = read_catalog(root, subject_pattern="images_background/([^/]+)/", label_map="ink")
    assert (catalog.classes, catalog.subjects) == (("ink",), ("Latin",))
    with pytest.raises(DataError, match=r"ink has one value"):
        read_catalog(root, label_map={1: "ink"})


def test_an_archive_by_its_name_leaves_the_other_out(omniglot, tmp_path):
    root = omniglot()
    catalog = read_catalog(root / "images_background.zip")
    assert catalog.classes == ("Latin/character01", "Latin/character02")
    assert catalog.layout == "omniglot"
    assert {sample.key for sample in catalog.samples} < {s.key for s in read_catalog(root).samples}
    other = tmp_path / "all_runs.zip"
    other.write_bytes((root / "images_background.zip").read_bytes())
    with pytest.raises(DataError, match=r"all_runs.zip is a file"):
        read_catalog(other)


class Images:
    def __init__(self, catalog):
        self.samples, self.loader = catalog.samples, Loader(32)

    def __len__(self):
        return len(self.samples)

    def __getitem__(self, index):
        return self.loader.image(self.samples[index])


@pytest.mark.parametrize("start", ["fork", "spawn"])
def test_workers_read_the_same(omniglot, start):
    data = Images(compute_class_areas(read_catalog(omniglot())))
    alone = list(DataLoader(data, batch_size=None))
    together = DataLoader(data, batch_size=None, num_workers=1, multiprocessing_context=start)
    for one, two in zip(alone, together, strict=True):
        np.testing.assert_array_equal(one, two)


def test_archives_that_are_refused(omniglot, tmp_path, monkeypatch):
    root = omniglot(drawing(np.zeros((50, 105), bool)))
    with pytest.raises(DataError, match=r"has the shape \(50, 105\); Omniglot has \(105, 105\)"):
        compute_class_areas(read_catalog(root))
    monkeypatch.setattr("episodes.io.formats.zip_archive.MAX_MEMBER", 20)
    with pytest.raises(DataError, match=r"01.png unpacks to \d+ bytes; at most 20 are read"):
        compute_class_areas(read_catalog(root))
    with zipfile.ZipFile(root / "images_evaluation.zip", "w") as file:
        file.writestr("a.txt", "hello")
    with pytest.raises(DataError, match=r"images_evaluation.zip holds no drawing"):
        read_catalog(root)
    (root / "images_background.zip").write_bytes(b"hello")
    with pytest.raises(DataError, match=r"cannot be read as zip archive: it is damaged"):
        read_catalog(root)


def test_the_real_archives(real_data):
    catalog = read_catalog(real_data("omniglot"))
    assert len(catalog) == 32_460
    assert len(catalog.classes) == 1_623
    assert len({name.partition("/")[0] for name in catalog.classes}) == 50
    assert len(catalog.subjects) == 20
    some = compute_class_areas(catalog.filter(lambda s: "Tifinagh/character55/" in s.key))
    assert len(some) == 20
    assert all(50 < s.areas["Tifinagh/character55"] < 1_100 for s in some.samples)
