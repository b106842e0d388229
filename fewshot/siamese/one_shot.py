"""One-shot classification: a test item goes to the class whose few examples it is most like."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from episodes.errors import DataError
from episodes.protocols.omniglot_within_alphabet import Trial

Likeness = Callable[[str, Sequence[str]], float]
"""How alike a test item and the examples of a class are, by their names; higher is more alike."""


def classify(trials: Sequence[Trial], likeness: Likeness) -> list[int]:
    """Give every test item the class that it is most like; of equal ones, the first.

    Every trial is answered by itself: that the items of an official run are all of different
    classes is not used.

    Args:
        trials: test items with their candidates.
        likeness: of a test item and a candidate.

    Returns:
        The place of the class among the candidates of each trial.
    """
    return [
        int(np.argmax([likeness(trial.test, shown) for shown in trial.candidates]))
        for trial in trials
    ]


def mean_cosine(sets: Sequence[Mapping[str, np.ndarray]]) -> Likeness:
    """Compare by the cosine with the mean of a class's examples, averaged over several networks.

    Args:
        sets: embeddings of unit length by name, of one network each.

    Raises:
        DataError: there is none.
    """
    if not sets:
        raise DataError("there are no embeddings to compare; expected those of a network or more")

    def likeness(test: str, shown: Sequence[str]) -> float:
        total = 0.0
        for vectors in sets:
            mean = np.mean([vectors[name] for name in shown], axis=0)
            total += float(vectors[test] @ mean) / max(float(np.linalg.norm(mean)), 1e-12)
        return total / len(sets)

    return likeness


def nearest(distance: Callable[[str, str], float]) -> Likeness:
    """Compare by the nearest of a class's examples.

    Args:
        distance: of two items by name.
    """

    def likeness(test: str, shown: Sequence[str]) -> float:
        return -min(distance(test, name) for name in shown)

    return likeness
