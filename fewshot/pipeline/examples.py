"""Pipelines to begin with: files of YAML with comments."""

from pathlib import Path

from episodes.errors import DataError
from fewshot.pipeline.values import nearest

FOLDER = Path(__file__).with_name("example_files")


def names() -> list[str]:
    """List the examples."""
    return sorted(path.stem for path in FOLDER.glob("*.yaml"))


def text(name: str) -> str:
    """Return the content of an example.

    Raises:
        DataError: there is none of this name.
    """
    if name not in names():
        raise DataError(f"there is no example {name!r}; {nearest(name, names())}")
    return (FOLDER / f"{name}.yaml").read_text(encoding="utf-8").rstrip("\n")
