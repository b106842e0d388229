"""The model card of a run: what it is, what it saw, what it did not, and how well it does."""

import json
import warnings
from pathlib import Path
from typing import Any

from episodes.errors import DataError
from fewshot.metrics.tables import cell
from fewshot.provenance import SEGMENTER, identify, why_not_of
from fewshot.training.callbacks.log import read_log
from fewshot.training.folder import LOG, SCORES, SETTINGS, SPLIT, run_of
from fewshot.training.settings import EpisodeTraining


def model_card(run: Path, name: str, licence: str | None = None) -> str:
    """Write the card from what a run left behind; nothing in it is typed by hand.

    Args:
        run: folder of `fewshot train`, or its best or average.
        name: of the model.
        licence: of the weights, by its SPDX name; None leaves it out.

    Returns:
        Markdown with the front matter that model hubs read.

    Raises:
        DataError: the folder is not a run's.
    """
    model, split = _read(run / SEGMENTER), _read(run_of(run) / SPLIT)
    settings = _read(run_of(run) / SETTINGS)["train"]
    log, identity = read_log(run_of(run) / LOG), identify(run)
    front = ["---", "library_name: fewshot-segmentation"]
    front += [f"license: {licence}"] if licence else []
    front += ["tags: [image-segmentation, few-shot]", "---"]
    body = [
        f"# {name}",
        "",
        f"Segments what one annotated image shows. Encoder {model['encoder']['name']}, head "
        f"{model['head']['kind']}, images compared at {model['size']} pixels"
        + (f", fingerprint {identity.fingerprint}." if identity else "."),
        "",
        "```python",
        "from fewshot import Segmenter",
        "",
        f'segmenter = Segmenter.from_pretrained("{name}")',
        'support = segmenter.learn("image.png", "mask.png")',
        'segmenter.segment("another.png", support).save("another_mask.png")',
        "```",
        "",
        "## Training",
        "",
        f"- data: {Path(split['data']).name}, {split['train_images']} images of "
        f"{len(split['train_subjects'])} subjects (fingerprint {split['train_fingerprint'][:16]})",
        f"- classes: {', '.join(split['base_classes']) or 'none, as there were no masks'}",
        _held_out(split),
        f"- {len(log)} steps of {settings['batch']} episodes"
        + (f" in {log[-1]['seconds'] / 60:.1f} minutes" if log else ""),
        f"- loss: {settings.get('loss', EpisodeTraining.loss)}",
        f"- command: `{split['command']}`",
        "",
        "## Scores",
        "",
        *_scores(run),
        "",
        "Scores on other data, scanners and structures may be much lower; look at the results.",
        "",
    ]
    return "\n".join([*front, "", *body])


def _held_out(split: dict[str, Any]) -> str:
    if not split["test_subjects"]:
        return "- held out: nothing; every subject of the data was trained on"
    classes = f"classes {', '.join(split['novel_classes'])}; " if split["novel_classes"] else ""
    return f"- held out: {classes}{len(split['test_subjects'])} subjects"


def _scores(run: Path) -> list[str]:
    path = run / SCORES
    if not path.exists():
        return [f"Not evaluated; `fewshot evaluate {run.name}` does."]
    found = _read(path)
    why = why_not_of(found, run)
    if why:
        warnings.warn(f"the card shows no score: {path}: {why}", stacklevel=2)
        return [f"Not evaluated as it is; `fewshot evaluate {run.name}` does. Earlier: {why}."]
    return [
        f"Dice (0 to 100), {found['episodes']} episodes on held-out subjects, 95 % bootstrap "
        "intervals over subjects; copy-mask pastes the annotated mask.",
        "",
        "| class | model | copy-mask |",
        "|---|---|---|",
        *(
            f"| {row['class']} | {cell(row['model'])} | {cell(row['copy_mask'])} |"
            for row in found["table"]
        ),
    ]


def _read(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(
            f"{path} cannot be read ({error}); expected the folder of a run that ended"
        ) from error
    if not isinstance(content, dict):
        raise DataError(f"{path} holds no JSON object; expected the folder of a run that ended")
    return content
