"""Readers of other people: given, installed, and how the right one is found."""

from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from episodes import readers
from episodes.catalog.catalog import Catalog, Sample
from episodes.errors import DataError
from episodes.io.limits import inside, read_text
from episodes.io.pixels import PixelRef
from episodes.optional import import_optional


class Text:
    """One picture a line of a text file."""

    def recognises(self, root):
        return (root / "list.txt").is_file()

    def read(self, root, *, subject_pattern=None, label_map=None):
        names = (root / "list.txt").read_text().split()
        samples = tuple(Sample(n, PixelRef(root / n), (), n, (4, 5)) for n in names)
        return Catalog(samples, (), name="list")


@pytest.fixture
def listed(tmp_path):
    (tmp_path / "list.txt").write_text("a b")
    return tmp_path


def test_a_reader_that_is_given(listed, index_set):
    catalog = readers.read_catalog(listed, readers=[Text()])
    assert (catalog.layout, len(catalog)) == ("Text", 2)
    assert readers.read_catalog(index_set, readers=[Text()]).layout == "folder"
    (index_set / "list.txt").write_text("a")
    assert readers.read_catalog(index_set, readers=[Text()]).layout == "Text"


def install(monkeypatch, *values):
    entries = [EntryPoint(f"r{n}", value, readers.GROUP) for n, value in enumerate(values)]
    monkeypatch.setattr(readers, "installed_entry_points", lambda group: entries)


def test_a_reader_that_is_installed(listed, monkeypatch):
    with pytest.raises(
        DataError, match=r"holds 1 files \(1 .txt\), and none is a picture that can"
    ):
        readers.read_catalog(listed)
    monkeypatch.setattr("tests.episodes.dicom_files.own", Text(), raising=False)
    install(monkeypatch, "tests.episodes.dicom_files:own")
    assert readers.read_catalog(listed).layout == "Text"


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("no.such.module", r"'r0' \(no.such.module\) .* cannot be loaded: No module"),
        ("json:nothing", r"cannot be loaded: .*nothing"),
        ("json:dumps", r"'r0' \(json:dumps\) lacks recognises or read"),
    ],
)
def test_an_installed_reader_that_is_broken(listed, monkeypatch, value, message):
    install(monkeypatch, value)
    with pytest.raises(DataError, match=message):
        readers.read_catalog(listed)


def test_every_reader_of_the_package_has_both_functions_and_shows_its_layout():
    names = [readers.name_of(reader) for reader in readers.READERS]
    assert len(set(names)) == len(names) == 14
    modules = {path.stem for path in Path(readers.__file__).parent.glob("*.py")}
    assert modules - {"__init__", "coco_annotations", "file_finder", "naming", "pairing"} == set(
        names
    )
    for reader in readers.READERS:
        assert isinstance(reader, readers.Reader)
        assert "\n    " in reader.__doc__


def test_all_layouts_are_listed():
    listed = readers.layouts().splitlines()
    assert len(listed) == len(readers.READERS)
    assert "  folder: Folders of pictures and masks." in listed


def test_no_reader_takes_an_empty_folder(tmp_path):
    assert not any(reader.recognises(tmp_path) for reader in readers.READERS)


def test_guards(tmp_path, monkeypatch):
    with pytest.raises(DataError, match=r"needs no_such, .*'fewshot-segmentation\[zarr"):
        import_optional("no_such.part", "zarr")
    for name in ("../a", "/a", "", "a\0b", "b/../../a"):
        with pytest.raises(DataError, match=r"leads out of"):
            inside(tmp_path, name)
    assert inside(tmp_path, "b/../a") == tmp_path / "b/../a"
    (tmp_path / "way").symlink_to("/")
    with pytest.raises(DataError, match=r"leads out of"):
        inside(tmp_path, "way/etc")
    (tmp_path / "a.txt").write_text("hello")
    monkeypatch.setattr("episodes.io.limits.MAX_TEXT", 4)
    with pytest.raises(DataError, match=r"a.txt has 5 bytes; at most 4 are read"):
        read_text(tmp_path / "a.txt")
