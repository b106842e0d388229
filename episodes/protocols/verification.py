"""Verification: are two images of one subject? Pair lists of subjects that training never saw.

Paper: Packhäuser et al., Deep learning-based patient re-identification is able to exploit the
biometric nature of medical chest X-ray data, Scientific Reports 2022, whose AUC compares with this.

Rules. Test subjects are held out of training. Positives are all pairs of two images of one test
subject. Negatives are pairs of images of two test subjects: as many as there are positives, drawn
uniformly without repetition ("balanced"), or all of them. Every unordered pair occurs at most once,
an image is never paired with itself. The score is the area under the ROC curve over the list, by
`fewshot.metrics.ranking`; intervals come from drawing subjects, not pairs.

Deviations. The paper publishes its lists of NIH ChestX-ray14, half of them positives, and tests on
the first 50,000 positives and 50,000 negatives; `read_pairs` reads such a list, for numbers that
compare pair by pair. A list drawn here has all positives.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from episodes.catalog.catalog import Catalog
from episodes.errors import DataError, EpisodeError, cause, shorten
from episodes.sampling.sampler import episode_generator

MAX_PAIRS = 50_000_000
"""More pairs than this are refused; they would take 400 MB."""

_MAX_BYTES = 2**26
_STREAM = 0x52  # of the generator, apart from the samplers'


@dataclass(frozen=True)
class Verification:
    """A list of pairs and what may be trained on.

    Attributes:
        train: the samples of all other subjects.
        keys: the test samples, in the catalog's order.
        pairs: positions in `keys`, int32 [pair 2], first < second, sorted.
        same: whether both are of one subject, bool [pair].
    """

    train: Catalog
    keys: tuple[str, ...]
    pairs: np.ndarray
    same: np.ndarray

    @property
    def hash(self) -> str:
        """Hash of the pair list."""
        digest = hashlib.sha256(json.dumps(self.keys).encode())
        digest.update(np.ascontiguousarray(self.pairs, "<i4").tobytes())
        return digest.hexdigest()


def verification(
    catalog: Catalog,
    test_subjects: Sequence[str],
    *,
    negatives: Literal["balanced", "all"] = "balanced",
    seed: int = 0,
) -> Verification:
    """Hold subjects out and list pairs of their images.

    Args:
        catalog: need not be measured.
        test_subjects: at least two, one of them with two images.
        negatives: how many pairs of different subjects.
        seed: of the negatives that are drawn.

    Raises:
        DataError: a subject is unknown.
        EpisodeError: there is no positive or no negative, or there are too many pairs.
    """
    test = catalog.of_subjects(test_subjects)
    train = catalog.filter(lambda sample: sample.subject not in set(test_subjects))
    names = [sample.subject for sample in test.samples]
    subjects = np.unique(names, return_inverse=True)[1] if names else np.zeros(0, int)
    pairs = list_pairs(subjects, negatives, episode_generator(seed, 0, _STREAM))
    same = subjects[pairs[:, 0]] == subjects[pairs[:, 1]]
    return Verification(train, tuple(sample.key for sample in test.samples), pairs, same)


def read_pairs(catalog: Catalog, path: Path) -> Verification:
    """Take a published list: lines of two file names and 1 or 0, parted by blanks.

    Training keeps the subjects that the list does not name.

    Args:
        catalog: whose files have different names.
        path: the list, at most 64 MiB of text.

    Raises:
        DataError: the list is missing or of another form, names a file that the catalog lacks,
            repeats a pair, or calls two images of one subject different, or the reverse.
    """
    rows = _rows(path)
    files = {sample.image.path.name: sample for sample in catalog.samples}
    named = dict.fromkeys(name for row in rows for name in row[:2])
    unknown = [name for name in named if name not in files]
    if unknown or len(files) < len(catalog):
        raise DataError(
            f"{path} names {len(unknown)} files that catalog {catalog.name!r} lacks "
            f"({shorten(unknown, 3)}), or {len(catalog)} images share {len(files)} file names"
        )
    places = {name: place for place, name in enumerate(named)}
    pairs = np.sort([[places[first], places[second]] for first, second, _ in rows], axis=1)
    subjects = np.array([files[name].subject for name in named])
    same = subjects[pairs[:, 0]] == subjects[pairs[:, 1]]
    if (same != [row[2][0] == "1" for row in rows]).any():
        raise DataError(
            f"{path} and the subjects of {catalog.name!r} disagree on which pairs are of one "
            "subject; is the list of this data set, and subject_pattern right?"
        )
    order = np.lexsort((pairs[:, 1], pairs[:, 0]))
    if len(np.unique(pairs, axis=0)) < len(pairs):
        raise DataError(f"{path} has a pair twice; expected each once")
    test = set(subjects.tolist())
    return Verification(
        catalog.filter(lambda sample: sample.subject not in test),
        tuple(files[name].key for name in named),
        pairs[order].astype(np.int32),
        same[order],
    )


def list_pairs(
    subjects: np.ndarray, negatives: Literal["balanced", "all"], generator: np.random.Generator
) -> np.ndarray:
    """List all pairs of one subject, and pairs of two subjects.

    Args:
        subjects: a number for the subject of each image [image].
        negatives: "balanced" draws as many as there are positives (all, where there are fewer).
        generator: for the draw.

    Returns:
        Positions, int32 [pair 2], first < second, sorted.

    Raises:
        EpisodeError: there is no positive or no negative, or there are too many pairs.

    >>> list_pairs(np.array([7, 7, 8]), "all", np.random.default_rng(0)).tolist()
    [[0, 1], [0, 2], [1, 2]]
    """
    count = len(subjects)
    sizes = np.unique(subjects, return_counts=True)[1].astype(np.int64)
    positives = int((sizes * (sizes - 1) // 2).sum())
    total = count * (count - 1) // 2
    requested = total if negatives == "all" else min(2 * positives, total)
    if not 0 < positives < total:
        raise EpisodeError(
            f"{count} images of {len(sizes)} subjects give {positives} pairs of one subject and "
            f"{total - positives} of two; expected both. Add subjects, or images of them"
        )
    if requested > MAX_PAIRS:
        raise EpisodeError(
            f"{requested:,} pairs; at most {MAX_PAIRS:,} are listed. Test fewer subjects"
            + ("" if negatives == "balanced" else ' or choose negatives="balanced"')
        )
    if requested == total or total <= 4 * positives:
        every = np.stack(np.triu_indices(count, 1), axis=1)
        same = subjects[every[:, 0]] == subjects[every[:, 1]]
        others = every[~same]
        if requested < total:
            others = others[generator.choice(len(others), positives, replace=False)]
        found = np.concatenate([every[same], others])
    else:
        found = np.concatenate([_positives(subjects), _draw(subjects, positives, generator)])
    return found[np.lexsort((found[:, 1], found[:, 0]))].astype(np.int32)


def _rows(path: Path) -> list[list[str]]:
    """Split the lines of a pair list: two names and 1 or 0."""
    rows = [line.split() for line in _text(path).splitlines() if line.strip()]
    wrong = [row for row in rows if len(row) != 3 or row[2] not in ("1", "0", "1.0", "0.0")]
    if wrong or not rows:
        raise DataError(
            f"{path} has {len(rows)} lines, {len(wrong)} of another form than `a.png b.png 1`"
            f"{': ' + ' '.join(wrong[0])[:60] if wrong else ''}"
        )
    return rows


def _text(path: Path) -> str:
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise DataError(f"{path} has {path.stat().st_size:,} bytes; expected a list of pairs")
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise DataError(f"there is no file {path}; expected a list of pairs") from None
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path} cannot be read as text: {cause(error)}") from error


def _positives(subjects: np.ndarray) -> np.ndarray:
    order = np.argsort(subjects, kind="stable")
    groups = np.split(order, np.flatnonzero(np.diff(subjects[order])) + 1)
    return np.concatenate(
        [np.sort(group)[np.stack(np.triu_indices(len(group), 1), axis=1)] for group in groups]
    )


def _draw(subjects: np.ndarray, requested: int, generator: np.random.Generator) -> np.ndarray:
    """Draw different pairs of two subjects; they are plenty, so that few draws are wasted."""
    count = len(subjects)
    codes = np.zeros(0, np.int64)
    while len(codes) < requested:
        drawn = np.sort(generator.integers(0, count, (requested + 16, 2)), axis=1)
        drawn = drawn[subjects[drawn[:, 0]] != subjects[drawn[:, 1]]]
        fresh = np.concatenate([codes, drawn[:, 0] * count + drawn[:, 1]])
        # The first of equal ones stays, in the order drawn, so that no pair is preferred.
        codes = fresh[np.sort(np.unique(fresh, return_index=True)[1])]
    return np.stack(np.divmod(codes[:requested], count), axis=1)
