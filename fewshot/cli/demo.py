"""`fewshot demo`: train on base classes, segment classes never seen, on data that is installed."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from episodes import bundled
from episodes.augmentation.compose import Augment
from episodes.catalog.class_areas import compute_class_areas
from episodes.catalog.letterbox import intensity_range
from episodes.catalog.loader import Loader
from episodes.errors import DataError, shorten
from episodes.io.pixels import IGNORE
from episodes.io.read import read_image, read_labels, read_planes
from episodes.io.write import make_folder, write_image, write_json
from episodes.readers import read_catalog
from episodes.sampling.sampler import EpisodeSampler
from episodes.sampling.superpixel_sampler import Mixture, SuperpixelSampler
from fewshot.baselines.copy_mask import paste
from fewshot.cli.options import Demo
from fewshot.evaluation.episodic import Evaluation, evaluate
from fewshot.evaluation.figures import COLUMNS, evaluation_sheet
from fewshot.inference.segmenter import Segmenter
from fewshot.metrics.overlap import confusion_matrix, dice
from fewshot.models.network import NetworkSettings
from fewshot.plots import overlays as pictures
from fewshot.training.episodic import episode_task
from fewshot.training.folder import is_run, make_room, refuse_run, remove
from fewshot.training.loop import train
from fewshot.training.settings import TrainSettings

EMOJI_SIZE = 128  # the scenes' own
EPISODES = 150
MODEL = "model"
_WRITTEN = ("scores.json", "contact_sheet.png", "nuclei.png", "brain.png")


@dataclass(frozen=True)
class Example:
    """One annotated image and others of the same kind to be segmented.

    Attributes:
        name: for file names and the table.
        support, mask: the annotated image.
        queries, truths: the others; [height width] each.
        classes: name of each label from 1.
    """

    name: str
    support: np.ndarray
    mask: np.ndarray
    queries: list[np.ndarray]
    truths: list[np.ndarray]
    classes: tuple[str, ...]


def demo(command: Demo) -> int:
    """Train, score on novel classes beside copy-mask, and leave pictures.

    Raises:
        DataError: the folder holds an earlier demo that may not be replaced, or other files by the
            names of a demo's.
    """
    old = _left(command)
    out = make_folder(command.out)
    make_room(out / MODEL, overwrite=command.output.overwrite)
    remove(old, out)
    found = emoji(command, out)
    overall = found.interval("model")
    kind = f"emoji, {_scored_classes(found)} classes never trained on"
    rows = [
        f"{'one annotated image, Dice (0 to 100)':42}{'model':>20}{'copy-mask':>20}",
        f"{kind:42}{_cell(overall):>20}{_cell(found.interval('copy_mask')):>20}",
    ]
    others = {}
    # Emoji teach nothing about tissue: these two use the model as it is installed, as
    # `fewshot segment` does.
    installed = Segmenter()
    for example in (nuclei(), brain()):
        scores, picture = one_image(installed, example)
        write_image(out / f"{example.name}.png", picture)
        others[example.name] = scores
        rows += [
            f"{f'{example.name}, {name} (untrained)':42}{100 * model:>20.1f}{100 * copied:>20.1f}"
            for name, (model, copied) in scores.items()
        ]
    write_json(out / "scores.json", {"emoji": found.content(), "dice_model_copy_mask": others})
    print("\n".join(rows))
    print(
        f"[95 % bootstrap interval over {overall.subjects} scenes; nuclei and brain are one "
        "specimen each, so they have none]"
    )
    print(f"pictures: {', '.join(str(out / n) for n in _WRITTEN if n.endswith('.png'))}")
    return 0


def emoji(command: Demo, out: Path) -> Evaluation:
    """Train on base classes of emoji; score, and show, novel classes in scenes never seen."""
    segmenter = Segmenter(NetworkSettings(size=EMOJI_SIZE))
    root = bundled.path("emoji")
    catalog = compute_class_areas(read_catalog(root))
    parts = json.loads((root / "split.json").read_text(encoding="utf-8"))
    base = catalog.of_classes(parts["base"]).without_samples_of(parts["novel"])
    novel = catalog.of_classes(parts["novel"]).without_samples_of(parts["base"])
    print(f"training on {len(base.classes)} base classes in {len(base)} scenes")
    loader = Loader(EMOJI_SIZE)
    labelled = EpisodeSampler(base, loader=loader, seed=command.seed, transform=Augment(flip=0.5))
    superpixels = SuperpixelSampler(base, loader=loader, seed=command.seed)
    settings = TrainSettings(minutes=command.minutes, batch=8, seed=command.seed)
    source = Mixture([labelled, superpixels], [0.8, 0.2], command.seed)
    if train(episode_task(segmenter.network, source), settings, out / MODEL).interrupted:
        raise KeyboardInterrupt
    sampler = EpisodeSampler(novel, loader=loader, seed=command.seed)
    found = evaluate(segmenter.network, sampler, EPISODES, progress=True)
    title = f"{_scored_classes(found)} classes never seen, one annotated image"
    write_image(
        out / "contact_sheet.png", evaluation_sheet(segmenter.network, sampler, found, title)
    )
    return found


def _scored_classes(found: Evaluation) -> int:
    """How many classes the drawn episodes show."""
    return len({case.class_name for case in found.cases})


def _left(command: Demo) -> list[Path]:
    """List what an earlier demo left, or refuse it."""
    old = [path for path in (command.out / name for name in _WRITTEN) if path.exists()]
    ours = is_run(command.out / MODEL)
    if old and not ours:
        raise DataError(
            f"{command.out} holds {shorten([path.name for path in old])}, which no demo left "
            "there; choose another --out"
        )
    if ours and not command.output.overwrite:
        raise DataError(
            f"{command.out} holds an earlier demo; replace it with --overwrite, or choose another "
            "--out"
        )
    refuse_run(command.out / MODEL, overwrite=command.output.overwrite)
    return old


def nuclei() -> Example:
    """Four tiles of one microscope picture: the first is annotated."""
    root = bundled.path("nuclei")
    images = [read_image(path) for path in sorted((root / "images").iterdir())]
    masks = [
        (read_labels(path)[0] > 0).astype(np.uint8) for path in sorted((root / "masks").iterdir())
    ]
    return Example("nuclei", images[0], masks[0], images[1:], masks[1:], ("nucleus",))


def brain() -> Example:
    """Slices of the ICBM brain: the middle one is annotated, every fourth other is segmented."""
    root = bundled.path("brain")
    images = read_planes(root / "image_icbm.nii.gz")
    masks = read_labels(root / "label_icbm.nii.gz").astype(np.uint8)
    middle = len(images) // 2
    others = [plane for plane in range(4, len(images) - 4, 4) if abs(plane - middle) > 1]
    return Example(
        "brain",
        images[middle],
        masks[middle],
        [images[plane] for plane in others],
        [masks[plane] for plane in others],
        ("grey matter", "white matter"),
    )


def one_image(
    segmenter: Segmenter, example: Example
) -> tuple[dict[str, tuple[float, float]], np.ndarray]:
    """Segment the others like the annotated one: Dice (model, copy-mask) a class, and a sheet."""
    names = dict(enumerate(example.classes, start=1))
    support = segmenter.learn(example.support, example.mask, names)
    labels = [segmenter.segment(query, support).mask for query in example.queries]
    copied = [paste(example.mask, truth.shape) for truth in example.truths]
    before, after = (_dice(guesses, example.truths, len(names)) for guesses in (copied, labels))
    scores = {name: (float(after[label]), float(before[label])) for label, name in names.items()}
    shown = np.linspace(0, len(labels) - 1, min(4, len(labels))).round().astype(int)
    rows = [_row(example, labels, int(number)) for number in shown]
    listed = ", ".join(f"{name} Dice {100 * model:.0f}" for name, (model, _) in scores.items())
    title = f"{example.name}, never seen, one annotated image: {listed}"
    return scores, pictures.contact_sheet(title, COLUMNS, rows)


def _dice(guesses: list[np.ndarray], truths: list[np.ndarray], way: int) -> np.ndarray:
    """Dice of each label over all queries together."""
    table = np.zeros((way + 1, way + 1), np.int64)
    for guess, truth in zip(guesses, truths, strict=True):
        table += confusion_matrix(guess, truth, way + 1, ignore_index=IGNORE)
    return dice(table)


def _row(example: Example, labels: list[np.ndarray], number: int) -> pictures.Row:
    image, truth, guess = example.queries[number], example.truths[number], labels[number]
    limits = intensity_range(image)
    return pictures.Row(
        f"query {number + 1} of {len(labels)}",
        (
            pictures.overlay(example.support, example.mask, intensity_range(example.support)),
            pictures.overlay(image, truth, limits),
            pictures.overlay(image, guess, limits),
            pictures.errors(image, guess, truth, limits),
        ),
    )


def _cell(interval: object) -> str:
    mean, low, high = (100 * getattr(interval, name) for name in ("mean", "low", "high"))
    return f"{mean:.1f} [{low:.1f}, {high:.1f}]"
