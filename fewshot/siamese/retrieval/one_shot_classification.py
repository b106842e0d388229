"""One-shot classification: a test item goes to the class whose few examples it is most like."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from episodes.errors import DataError
from episodes.protocols.omniglot import Trial
from fewshot.numerics import unit_rows

Likeness = Callable[[Trial], np.ndarray]
"""How alike the test item of a trial and the examples of every class are [way]; higher is more."""


def classify(trials: Sequence[Trial], likeness: Likeness) -> list[int]:
    """Give every test item the class that it is most like; of equal ones, the first.

    Every trial is answered by itself: that the items of an official run are all of different
    classes is not used.

    Args:
        trials: test items with their candidates.
        likeness: of a test item and its candidates.

    Returns:
        The place of the class among the candidates of each trial.
    """
    return [int(np.argmax(likeness(trial))) for trial in trials]


def classify_with_tta(sets: Sequence[Mapping[str, np.ndarray]], centred: float = 0.0) -> Likeness:
    """Compare by the cosine of the two views that are most alike.

    Averaged over the examples of a class, then over several networks.

    Args:
        sets: embeddings of each item's views by name, of one network each [view dim].
        centred: share of the mean of all examples shown in a trial that is taken from them and
            from the test item, so that what all candidates have in common counts less.

    Raises:
        DataError: there are no embeddings.

    Paper: Wang et al., SimpleShot, 2019, who take away the mean of the training classes.
    """
    if not sets:
        raise DataError("there are no embeddings to compare; expected those of a network or more")

    def likeness(trial: Trial) -> np.ndarray:
        total = np.zeros(len(trial.candidates))
        for vectors in sets:
            shown = np.array([[vectors[name] for name in names] for names in trial.candidates])
            away = centred * shown.mean(axis=(0, 1, 2))
            cosines = _unit(shown - away) @ _unit(vectors[trial.test] - away).T
            total += cosines.max(axis=(2, 3)).mean(axis=1)
        return total / len(sets)

    return likeness


def _unit(vectors: np.ndarray) -> np.ndarray:
    return unit_rows(vectors.reshape(-1, vectors.shape[-1])).reshape(vectors.shape)


def nearest(distance: Callable[[str, str], float]) -> Likeness:
    """Compare by the nearest of a class's examples.

    Args:
        distance: of two items by name.
    """

    def likeness(trial: Trial) -> np.ndarray:
        return -np.array(
            [min(distance(trial.test, name) for name in names) for names in trial.candidates]
        )

    return likeness
