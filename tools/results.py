"""List the results of docs/results: headline, the commands that make them, and their time.

python tools/results.py
"""

import json
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parents[1] / "docs" / "results"


def lines(path: Path) -> list[str]:
    """Describe one result file."""
    content = json.loads(path.read_text(encoding="utf-8"))
    if "parts" in content:
        parts = content["parts"].items()
        return [row for name, part in parts for row in _rows(f"{path.name}, {name}", part)]
    return _rows(path.name, content)


def _rows(name: str, content: dict[str, Any]) -> list[str]:
    minutes = content["seconds"] / 60
    where = content["machine"]["processor"]
    rows = [f"{name}: {minutes:.1f} minutes on {content['machine']['threads']} x {where}"]
    for head in content["headline"]:
        value, low, high, baseline = map(_shown, (head["value"], *head["ci95"], head["baseline"]))
        rows.append(
            f"  {head['name']} {value} [{low}, {high}], baseline {baseline} ({head['unit']})"
        )
    return rows + [f"    {command}" for command in content["commands"]]


def _shown(value: float | None) -> float | None:
    return None if value is None else round(value, 2)


def main() -> None:
    """Print them all."""
    for path in sorted(FOLDER.glob("*.json")):
        print("\n".join(lines(path)))


if __name__ == "__main__":
    main()
