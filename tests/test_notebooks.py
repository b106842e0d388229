"""The notebooks run from top to bottom, and each .ipynb holds what its script says."""

from pathlib import Path

import jupytext
import pytest

from tools.notebooks import FOLDER, run

SCRIPTS = sorted(FOLDER.glob("*.py"))


def test_there_are_notebooks():
    assert SCRIPTS


# nbclient's kernel leaves its sockets to the garbage collector.
@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::DeprecationWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_runs_and_is_stored(script: Path):
    stored = jupytext.read(script.with_suffix(".ipynb"))
    ran = run(script)
    assert [cell.source for cell in stored.cells] == [cell.source for cell in ran.cells], (
        f"{script.name} has changed; run make notebooks"
    )
    assert any(cell.get("outputs") for cell in stored.cells)
