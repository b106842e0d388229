"""Plugins: what is wrong with a file is told in one line; a file is run once, and again if new."""

import multiprocessing
import sys

import pytest

from episodes import plugins
from episodes.errors import DataError, FewshotError
from episodes.plugins import load_plugin
from tests.episodes.toys import TOYS

TOY = """
from tests.episodes.toys import register_toy

@register_toy("{name}")
def play():
    return {value}
"""


@pytest.fixture
def write(tmp_path, monkeypatch):
    """A function that writes a plugin; what was loaded is forgotten at the end."""
    monkeypatch.setenv(plugins.VARIABLE, "")

    def write(text, name="my_toys.py"):
        path = tmp_path / name
        path.write_text(text)
        return path

    yield write
    plugins.unload_plugins()


def test_a_plugin_is_run_once_and_anew_when_it_has_changed(write):
    path = write(TOY.format(name="yoyo", value=1))
    plugin = load_plugin(path)
    first = TOYS["yoyo"]
    assert plugin.parts == ("toy yoyo",)
    assert load_plugin(path) is plugin
    assert TOYS["yoyo"] is first
    assert plugins.plugin_of(TOYS.module_of("yoyo")) is plugin
    assert plugin.content() == {"file": "my_toys.py", "sha256": plugin.sha256}
    write(TOY.format(name="yoyo", value=2))
    assert load_plugin(path).sha256 != plugin.sha256
    assert TOYS["yoyo"]() == 2


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("import = 3", r"my_toys.py is no Python in line 1: invalid syntax"),
        ("x = '\0'", r"my_toys.py is no Python: source code .*null bytes"),
        ("x = 1\ny = 1 / 0\n", r"fails in line 2: ZeroDivisionError: division by zero"),
        ("import not_there_at_all", r"fails in line 1: ModuleNotFoundError: No module named"),
        ("raise SystemExit(3)", r"fails in line 1: SystemExit: 3"),
        ("x = 1", r"my_toys.py registers nothing; decorate its parts"),
        (
            TOY.format(name="top", value=1),
            "fails in line 4: two parts are named toy 'top': one in",
        ),
        (TOY.format(name="a+b", value=1), r"fails in line 4: a toy is named 'a\+b'; expected"),
        (TOY.format(name="yoyo", value=1) + "\n1 / 0\n", r"fails in line 8: ZeroDivisionError"),
    ],
)
def test_what_is_wrong_is_told_in_one_line(write, text, said):
    path = write(text)
    with pytest.raises(FewshotError, match=said) as error:
        load_plugin(path)
    assert "\n" not in str(error.value)
    assert "yoyo" not in TOYS
    assert "episodes.plugins.my_toys" not in sys.modules


def test_what_is_no_file_and_two_of_one_name(write, tmp_path):
    with pytest.raises(DataError, match=r"none.py does not exist; expected a file of Python"):
        load_plugin(tmp_path / "none.py")
    with pytest.raises(DataError, match="is a folder"):
        load_plugin(tmp_path)
    load_plugin(write(TOY.format(name="yoyo", value=1)))
    (tmp_path / "other").mkdir()
    other = write(TOY.format(name="kite", value=1), "other/my_toys.py")
    with pytest.raises(FewshotError, match=r"my_toys.py and .*my_toys.py have the same name"):
        load_plugin(other)


def test_processes_that_are_started_know_the_plugins(write):
    load_plugin(write(TOY.format(name="yoyo", value=7)))
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        assert pool.apply(TOYS["yoyo"]) == 7
