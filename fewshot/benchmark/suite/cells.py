"""What is computed once and kept: one predictor on one draw of one task."""

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from episodes.errors import DataError
from episodes.io.write import make_folder, write_json
from episodes.protocols.base import Case
from fewshot.evaluation.few_image_scores import CaseScore, QueryScore

FORMAT = 1


@dataclass(frozen=True)
class Cell:
    """The scores of one case.

    Attributes:
        task: name of the task.
        predictor: its name.
        shots: number of annotated images.
        draw: which draw of them.
        score: of every query.
    """

    task: str
    predictor: str
    shots: int
    draw: int
    score: CaseScore


@dataclass(frozen=True)
class CellFile:
    """Where a cell is kept, and what it depends on.

    Attributes:
        path: of the file.
        made_of: hash of the case, the images and the predictor.
    """

    path: Path
    made_of: str

    def read(self) -> CaseScore | None:
        """Read the scores; None where they were not computed yet.

        Raises:
            DataError: the file is damaged, or was made of something else.
        """
        try:
            content = json.loads(self.path.read_text(encoding="utf-8"))
            if content["format"] != FORMAT:
                raise ValueError(f"its format is not {FORMAT}")
            made_of, found = content["made_of"], content["score"]
            queries = tuple(
                QueryScore(**{**each, "dice": tuple(float(v) for v in each["dice"])})
                for each in found["queries"]
            )
            score = CaseScore(tuple(found["classes"]), queries, found["learn_seconds"])
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise DataError(
                f"{self.path} cannot be used ({error!r}); remove it, and it is remade"
            ) from error
        if made_of != self.made_of:
            raise DataError(
                f"{self.path} was made of other images, draws, settings or another model; choose "
                "another --out"
            )
        return score

    def write(self, score: CaseScore) -> None:
        """Write the scores, whole or not at all."""
        content = asdict(score)
        for query in content["queries"]:
            query["dice"] = [str(value) for value in query["dice"]]  # JSON has no NaN
        make_folder(self.path.parent)
        write_json(self.path, {"format": FORMAT, "made_of": self.made_of, "score": content})


def cell_file(
    out: Path, task: str, fingerprint: str, case: Case, predictor: str, about: dict[str, Any]
) -> CellFile:
    """Name the file of a cell.

    Args:
        out: folder of all.
        task: name of the task.
        fingerprint: of its catalog.
        case: what is segmented.
        predictor: its name.
        about: settings and model of the predictor.
    """
    text = json.dumps([fingerprint, case.run, asdict(case.plan), about], default=str)
    shots = len(case.plan.support[0])
    name = f"shots{shots}_{quote(case.run, safe='').replace('%20', '')}.json"
    folder = out / "cells" / quote(predictor, safe="") / quote(task, safe="")
    return CellFile(folder / name, hashlib.sha256(text.encode()).hexdigest())
