"""Omniglot classification: the 20 one-shot runs of Lake et al., and n-way k-shot trials.

Papers: Lake et al., Human-level concept learning through probabilistic program induction, Science
2015; Koch et al., Siamese Neural Networks for One-shot Image Recognition, 2015; Vinyals et al.,
Matching Networks, NeurIPS 2016 (n-way k-shot).

Rules. The official runs are 20 sets of 20 test drawings and one training drawing of each of 20
characters of one alphabet of the evaluation set, drawn by other people; every test drawing is
assigned to one of the 20 characters, and the error is the mean over all 400. Training may use the
background set (30 alphabets), never the evaluation set. `draw_trials` makes n-way k-shot trials of
any size, the candidates being characters of one alphabet (the harder task) or of all.

Deviations. Vinyals et al. split characters at random and turn them by quarters into new classes;
here the split is that of Lake et al. and nothing is turned. Test drawing and shots are different
drawings, which in Omniglot are by different people.
"""

import hashlib
import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath

import numpy as np

from episodes.errors import DataError, EpisodeError, cause, shorten
from episodes.io.formats.zip_archive import members, read_bytes
from episodes.sampling.sampler import episode_generator

RUNS, CHARACTERS = 20, 20

_STREAM = 0x53  # of the generator, apart from the samplers'
_MAX_MEMBERS, _MAX_BYTES = 100_000, 2**20

Alphabets = Mapping[str, Mapping[str, Sequence[str]]]


@dataclass(frozen=True)
class Trial:
    """One test drawing to be assigned to one of several characters.

    Attributes:
        run: the official run, or the alphabet.
        test: name of the drawing in its archive.
        candidates: names of the drawings of each character [way][shot].
        answer: the position of the right character.
    """

    run: str
    test: str
    candidates: tuple[tuple[str, ...], ...]
    answer: int


def official_runs(archive: Path) -> list[Trial]:
    """Read the trials of `all_runs.zip`: 20 runs of 20.

    Raises:
        DataError: the archive is damaged, or is not that of the 20 runs.
    """
    names = member_names(archive)
    trials: list[Trial] = []
    for run in sorted({PurePosixPath(name).parts[0] for name in names}):
        training = sorted(n for n in names if n.startswith(f"{run}/training/") and n[-1] != "/")
        answers = _answers(archive, f"{run}/class_labels.txt")
        wrong = [n for pair in answers for n in pair if n not in names]
        wrong += [right for _, right in answers if right not in training]
        if len(training) != CHARACTERS or len(answers) != CHARACTERS or wrong:
            raise DataError(
                f"{archive}: {run} has {len(training)} training drawings and {len(answers)} "
                f"answers, {shorten(wrong, 3) or 'none'} unknown; expected {CHARACTERS} of each"
            )
        shown = tuple((name,) for name in training)
        trials += [Trial(run, test, shown, training.index(right)) for test, right in answers]
    if len(trials) != RUNS * CHARACTERS:
        raise DataError(
            f"{archive} holds {len(trials)} trials; expected the {RUNS * CHARACTERS} of "
            "all_runs.zip of Omniglot"
        )
    return trials


def alphabets(archive: Path) -> dict[str, dict[str, list[str]]]:
    """List the drawings of `images_background.zip` or `images_evaluation.zip`.

    Returns:
        {alphabet: {character: names of its drawings}}, all sorted.

    Raises:
        DataError: the archive is damaged or holds no `set/alphabet/character/drawing.png`.
    """
    found: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for name in sorted(member_names(archive)):
        parts = PurePosixPath(name).parts
        if len(parts) == 4 and name.endswith(".png"):
            found[parts[1]][parts[2]].append(name)
    if not found:
        raise DataError(
            f"{archive} holds no drawing; expected images_background.zip or images_evaluation.zip"
        )
    return {alphabet: dict(characters) for alphabet, characters in found.items()}


def draw_trials(
    drawings: Alphabets,
    count: int,
    *,
    way: int = 20,
    shot: int = 1,
    within_alphabet: bool = True,
    seed: int = 0,
) -> list[Trial]:
    """Draw n-way k-shot trials; trial i depends on the seed and i alone.

    Args:
        drawings: of one set, see `alphabets`.
        count: how many trials.
        way: characters to choose from.
        shot: drawings of each.
        within_alphabet: whether all characters are of one alphabet, drawn first among those that
            have enough of them.
        seed: of the draws.

    Raises:
        EpisodeError: no alphabet has so many characters, or a character so many drawings.
    """
    if min(count, way, shot) < 1:
        raise EpisodeError(
            f"count, way and shot are {count}, {way} and {shot}; expected at least 1 each"
        )
    pools = {a: {(a, c): names for c, names in found.items()} for a, found in drawings.items()}
    if not within_alphabet:
        pools = {"all": {key: n for pool in pools.values() for key, n in pool.items()}}
    usable = {}
    for name, pool in pools.items():
        enough = [names for names in pool.values() if len(names) > shot]
        if len(enough) >= way:
            usable[name] = enough
    if not usable:
        most = max((len(pool) for pool in pools.values()), default=0)
        raise EpisodeError(
            f"{way} ways of {shot} shots and a test drawing; the largest of {len(pools)} pools has "
            f"{most} characters. Ask for fewer, or set within_alphabet=False"
        )
    return [
        _trial(usable, way, shot, episode_generator(seed, index, _STREAM)) for index in range(count)
    ]


def accuracy(trials: Sequence[Trial], answers: Sequence[int]) -> dict[str, float]:
    """Share of right answers of each run; their mean is the score where runs are of one length.

    Raises:
        EpisodeError: not one answer a trial.

    >>> trials = [Trial("r", "t", (("a",), ("b",)), answer) for answer in (0, 1)]
    >>> accuracy(trials, [0, 0])
    {'r': 0.5}
    """
    if len(trials) != len(answers):
        raise EpisodeError(f"{len(answers)} answers to {len(trials)} trials; expected one a trial")
    right: dict[str, list[bool]] = defaultdict(list)
    for trial, answer in zip(trials, answers, strict=True):
        right[trial.run].append(trial.answer == answer)
    return {run: float(np.mean(values)) for run, values in right.items()}


def hash_trials(trials: Sequence[Trial]) -> str:
    """Hash a list of trials."""
    text = json.dumps([asdict(trial) for trial in trials], separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def member_names(archive: Path) -> set[str]:
    """List what an archive holds.

    Raises:
        DataError: it is missing or damaged, has too many members, or one that points outside.
    """
    names = members(archive)
    unsafe = [n for n in names if n.startswith("/") or ".." in PurePosixPath(n).parts or "\\" in n]
    if unsafe or len(names) > _MAX_MEMBERS:
        raise DataError(
            f"{archive} has {len(names):,} members and {len(unsafe)} outside its folder "
            f"({shorten(unsafe, 2)}); at most {_MAX_MEMBERS:,} inside are read"
        )
    return set(names)


def _trial(
    pools: Mapping[str, Sequence[Sequence[str]]],
    way: int,
    shot: int,
    generator: np.random.Generator,
) -> Trial:
    name = sorted(pools)[int(generator.integers(len(pools)))]
    characters = generator.choice(len(pools[name]), way, replace=False).tolist()
    answer = int(generator.integers(way))
    candidates = []
    test = ""
    for place, character in enumerate(characters):
        drawings = pools[name][character]
        picked = generator.choice(len(drawings), shot + 1, replace=False).tolist()
        candidates.append(tuple(drawings[i] for i in picked[:shot]))
        if place == answer:
            test = drawings[picked[shot]]
    return Trial(name, test, tuple(candidates), answer)


def _answers(archive: Path, name: str) -> list[tuple[str, str]]:
    try:
        lines = _read_text(archive, name).decode("utf-8").split("\n")
    except UnicodeDecodeError as error:
        raise DataError(f"{archive}: {name} is no text: {cause(error)}") from error
    pairs = [tuple(line.split()) for line in lines if line.strip()]
    if any(len(pair) != 2 for pair in pairs):
        raise DataError(f"{archive}: {name} has a line of another form than `test training`")
    return [(pair[0], pair[1]) for pair in pairs]


def _read_text(archive: Path, name: str) -> bytes:
    if name not in members(archive):
        raise DataError(f"{archive} holds no {name}; is it the right archive?")
    return read_bytes(archive, name, _MAX_BYTES)
