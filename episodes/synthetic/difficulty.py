"""The difficulty of a generated task, and the parameters that it stands for."""

from dataclasses import dataclass

from episodes.errors import EpisodeError


@dataclass(frozen=True)
class Difficulty:
    """Parameters of the difficulty of a task.

    Attributes:
        deformation: standard deviation of the displacement between subjects, as a fraction of
            the side.
        contrast: difference of a structure's mean intensity from its surroundings, of the full
            range.
        distractors: structures that belong to no class.
        resemblance: probability that a distractor has the appearance of one of the classes.
        shift: standard deviation of a tissue's mean intensity between subjects.
        bias: standard deviation of the logarithm of the bias field.
        noise: standard deviation of the noise, of the full range.
        blur: standard deviation of the blur, in pixels of a side of 256.
    """

    deformation: float
    contrast: float
    distractors: float
    resemblance: float
    shift: float
    bias: float
    noise: float
    blur: float


EASIEST = Difficulty(0.006, 0.42, 1, 0.0, 0.01, 0.03, 0.015, 0.6)
HARDEST = Difficulty(0.035, 0.16, 7, 0.9, 0.06, 0.25, 0.07, 1.6)


def interpolate_difficulty(difficulty: float) -> Difficulty:
    """Interpolate each parameter linearly between EASIEST and HARDEST.

    Args:
        difficulty: 0 for EASIEST: subjects differ by 0.6 % of the side and contrast is 28 times
            the noise; 1 for HARDEST: 3.5 % and 2.3 times, with distractors that look like classes.

    Raises:
        EpisodeError: difficulty is not from 0 to 1.

    Example:
        >>> interpolate_difficulty(0.5).distractors
        4.0
    """
    if not 0 <= difficulty <= 1:
        raise EpisodeError(f"difficulty is {difficulty}; expected a number from 0 to 1")
    pairs = zip(vars(EASIEST).values(), vars(HARDEST).values(), strict=True)
    return Difficulty(*((1 - difficulty) * easy + difficulty * hard for easy, hard in pairs))
