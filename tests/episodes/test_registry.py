"""Registries: names, taken names, entry points; that names are listed without imports."""

import sys
from types import SimpleNamespace

import pytest

from episodes import registry as module
from episodes.errors import FewshotError
from episodes.registry import Registry, UnknownPartError

PACKAGE = {
    "__init__.py": "",
    "round.py": 'from toys import register_toy\n@register_toy("ball")\nclass Ball: ...\n',
    "square.py": (
        '"""For example\n\n    @register_toy("no-toy")\n"""\nfrom toys import register_toy\n'
        '\nbox = 3\n\n\n@register_toy("lid")\n@register_toy(\n    "box"\n)\nclass Box: ...\n'
    ),
}


@pytest.fixture
def toys(tmp_path, monkeypatch):
    """A registry of the two modules of a package that is not imported yet."""
    folder = tmp_path / "toybox"
    folder.mkdir()
    for name, text in PACKAGE.items():
        (folder / name).write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(module, "_REGISTRIES", [])
    registry = Registry("toy", "register_toy", ("toybox",), "test.toys")
    monkeypatch.setitem(sys.modules, "toys", SimpleNamespace(register_toy=registry.register))
    yield registry
    for name in [name for name in sys.modules if name.startswith("toybox")]:
        del sys.modules[name]


class Kite:
    """A part that is defined here."""


def test_names_are_listed_without_importing_what_they_stand_for(toys):
    assert toys.names() == ("ball", "box", "lid")
    assert not any(name.startswith("toybox.") for name in sys.modules)
    assert toys["box"].__name__ == "Box"
    assert "toybox.square" in sys.modules
    assert "toybox.round" not in sys.modules
    assert toys.module_of("lid") == "toybox.square"
    assert list(toys.registered()) == ["box", "lid"]  # the nearest to the class comes first


def test_an_unknown_name_is_told_with_those_there_are(toys):
    with pytest.raises(UnknownPartError, match=r"no toy 'bal'; expected one of ball, box, lid, or"):
        toys["bal"]
    assert "bal" not in toys
    assert "ball" in toys


def test_a_name_is_taken_once(toys):
    with pytest.raises(FewshotError, match=r"named toy 'ball': one in toybox.round, one in tests"):
        toys.register("ball")(Kite)
    toys.register("kite")(Kite)
    toys.register("kite")(Kite)  # a cell of a notebook that is run again
    with pytest.raises(FewshotError, match="two parts are named toy 'kite'"):
        toys.register("kite")(type("Other", (), {"__module__": __name__}))
    with pytest.raises(FewshotError, match=r"named 'kite\+box'; expected letters"):
        toys.register("kite+box")(Kite)


def test_forgotten_parts_are_gone_and_may_come_again(toys):
    toys.register("kite")(Kite)
    assert module.registered_by(__name__) == ("toy kite",)
    module.forget(__name__)
    assert "kite" not in toys
    toys.register("kite")(type("Kite", (), {"__module__": "elsewhere"}))


def install(monkeypatch, **entries):
    """Stand in for packages with entry points of the group test.toys; None cannot be loaded."""
    found = [SimpleNamespace(name=n, value=f"shop:{n}", load=load) for n, load in entries.items()]
    monkeypatch.setattr(
        module, "installed_entry_points", lambda group: found if group == "test.toys" else []
    )


def test_a_package_that_is_installed_meanwhile_is_found(toys, tmp_path):
    assert "kite" not in toys  # what is installed is read, and kept while nothing changes
    declared = tmp_path / "kites-1.0.dist-info" / "entry_points.txt"
    declared.parent.mkdir()
    declared.write_text("[test.toys]\nkite = shop:kite\n")
    assert "kite" in toys
    assert module.installed_entry_points("test.toys") is module.installed_entry_points("test.toys")


def test_an_installed_part_is_loaded_at_its_first_use(toys, monkeypatch):
    install(monkeypatch, kite=lambda: toys.register("kite")(Kite))
    assert toys.names() == ("ball", "box", "kite", "lid")
    assert list(toys.registered()) == []
    assert toys["kite"] is Kite


def test_an_installed_part_that_does_not_work_says_whose_it_is(toys, monkeypatch):
    def fails():
        raise ImportError("no strings")

    install(monkeypatch, kite=fails, drum=lambda: None)
    with pytest.raises(FewshotError, match=r"'kite' of an installed package \(shop:kite\).*string"):
        toys["kite"]
    with pytest.raises(FewshotError, match=r"promises the toy 'drum' and shop:drum registers none"):
        toys["drum"]
    assert toys["ball"].__name__ == "Ball"  # others are not in the way
