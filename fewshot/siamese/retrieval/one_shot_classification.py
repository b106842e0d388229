"""One-shot classification: the class of the most similar examples."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from episodes.errors import DataError
from episodes.protocols.omniglot import Trial
from fewshot.numerics import unit_rows

SimilarityFn = Callable[[Trial], np.ndarray]
"""Similarity of the test item of a trial and the examples of every class [way]."""


def classify(trials: Sequence[Trial], similarity: SimilarityFn) -> list[int]:
    """Classify every test item by the largest similarity; of equal ones, the first.

    Trials are independent: that the items of an official run are all of different classes is not
    used.

    Args:
        trials: test items with their candidates.
        similarity: of a test item and its candidates.

    Returns:
        The index of the class among the candidates of each trial.
    """
    return [int(np.argmax(similarity(trial))) for trial in trials]


def max_view_similarity(
    sets: Sequence[Mapping[str, np.ndarray]], centred: float = 0.0
) -> SimilarityFn:
    """Similarity by the cosine of the two most similar views.

    Averaged over the examples of a class, then over several networks.

    Args:
        sets: embeddings of each item's views by name, of one network each [view dim].
        centred: fraction of the mean of all examples of a trial that is subtracted from them and
            from the test item.

    Raises:
        DataError: there are no embeddings.

    Paper: Wang et al., SimpleShot, 2019, who subtract the mean of the training classes.
    """
    if not sets:
        raise DataError(
            "there are no embeddings to compare; expected those of at least one network"
        )

    def similarity(trial: Trial) -> np.ndarray:
        total = np.zeros(len(trial.candidates))
        for vectors in sets:
            shown = np.array([[vectors[name] for name in names] for names in trial.candidates])
            away = centred * shown.mean(axis=(0, 1, 2))
            cosines = _unit(shown - away) @ _unit(vectors[trial.test] - away).T
            total += cosines.max(axis=(2, 3)).mean(axis=1)
        return total / len(sets)

    return similarity


def _unit(vectors: np.ndarray) -> np.ndarray:
    return unit_rows(vectors.reshape(-1, vectors.shape[-1])).reshape(vectors.shape)


def nearest_example_similarity(distance: Callable[[str, str], float]) -> SimilarityFn:
    """Similarity by the nearest of a class's examples.

    Args:
        distance: of two items by name.
    """

    def similarity(trial: Trial) -> np.ndarray:
        return -np.array(
            [min(distance(trial.test, name) for name in names) for names in trial.candidates]
        )

    return similarity
