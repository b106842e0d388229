"""Contact sheets of episodes: support, truth, prediction, error."""

import numpy as np

from episodes.io.pixels import IGNORE
from episodes.sampling.episode import Episode, collate
from episodes.sampling.sampler import EpisodeSampler
from fewshot.evaluation.episodic import Case, Evaluation, predict
from fewshot.models.network import FewShotNetwork
from fewshot.plots import overlays as pictures

COLUMNS = ("support: annotated", "query: truth", "query: prediction", "error")
_UNIT = (0.0, 1.0)  # episodes are scaled to [0, 1]


def episode_row(episode: Episode, labels: np.ndarray, query: int, caption: str) -> pictures.Row:
    """Make one row: the first shot of each way, then the query's truth, prediction and errors.

    Args:
        episode: the task.
        labels: predicted [height width].
        query: which of the episode's queries.
        caption: the text below.
    """
    truth = episode.query_labels[query].numpy()
    box = pictures.known_box(truth)
    image = pictures.channels_last(episode.query_images[query].numpy())[box]
    support = pictures.channels_last(episode.support_images[0, 0].numpy())
    mask = episode.support_masks[0, 0].numpy()
    inside = pictures.known_box(mask)
    truth, labels = truth[box], labels[box]
    return pictures.Row(
        caption,
        (
            pictures.overlay(support[inside], mask[inside], _UNIT),
            pictures.overlay(image, truth, _UNIT),
            pictures.overlay(image, np.where(truth == IGNORE, 0, labels), _UNIT),
            pictures.errors(image, labels, truth, _UNIT),
        ),
    )


def evaluation_sheet(
    network: FewShotNetwork,
    sampler: EpisodeSampler,
    found: Evaluation,
    title: str | None = None,
    rows: int = 6,
) -> np.ndarray:
    """Show episodes from the best to the worst, evenly spaced, so that nothing is hidden.

    Returns:
        uint8 [height width 3].
    """
    cases = sorted(
        (case for case in found.cases if case.method == "model"), key=case_dice, reverse=True
    )
    copied = {
        (case.episode, case.query, case.class_name): case_dice(case)
        for case in found.cases
        if case.method == "copy_mask"
    }
    chosen = np.unique(np.linspace(0, len(cases) - 1, min(rows, len(cases))).round().astype(int))
    plans = {plan.index: plan for plan in found.plans}
    lines = []
    for number in chosen:
        case = cases[number]
        episode = sampler.load(plans[case.episode])
        query = episode.plan.query.index(case.query)
        batch = collate([episode])
        chances = predict(network, batch.support_images, batch.support_masks, batch.query_images)
        other = copied[case.episode, case.query, case.class_name]
        caption = (
            f"{case.class_name}: Dice {100 * case_dice(case):.0f} (copy-mask {100 * other:.0f}), "
            f"rank {number + 1} of {len(cases)}, subject {case.subject}"
        )
        lines.append(episode_row(episode, chances[0, query].argmax(dim=0).numpy(), query, caption))
    interval = found.interval("model")
    title = title or f"Dice {100 * interval.mean:.1f} over {interval.subjects} subjects"
    return pictures.contact_sheet(f"{title}: from the best to the worst", COLUMNS, lines)


def case_dice(case: Case) -> float:
    """Dice of one case; 0 where the class is neither there nor predicted."""
    total = 2 * case.tp + case.fn + case.fp
    return 2 * case.tp / total if total else 0.0
