"""Run the notebooks' scripts and write each as .ipynb, outputs included, beside it.

python tools/notebooks.py
"""

from pathlib import Path

import jupytext
import nbformat
from nbclient import NotebookClient

FOLDER = Path(__file__).parents[1] / "notebooks"


def run(script: Path) -> nbformat.NotebookNode:
    """Execute a percent script from top to bottom; an error in a cell is an error here."""
    notebook = jupytext.read(script)
    for number, cell in enumerate(notebook.cells):
        cell.id = f"cell-{number}"  # random ones would change the file at every run
    client = NotebookClient(
        notebook, timeout=300, kernel_name="python3", resources={"metadata": {"path": FOLDER}}
    )
    client.execute()
    for cell in notebook.cells:
        for output in cell.get("outputs", ()):
            if output.get("name") == "stderr":  # warnings would show the paths of this machine
                raise RuntimeError(f"{script.name} writes to stderr: {output['text']}")
        cell.metadata.pop("execution", None)  # times of day
    notebook.metadata.pop("language_info", None)
    return notebook


def main() -> None:
    """Run all of them."""
    for script in sorted(FOLDER.glob("*.py")):
        target = script.with_suffix(".ipynb")
        nbformat.write(run(script), target)
        print(f"{target.name}: {target.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
