"""What difficulty means."""

from dataclasses import dataclass

from episodes.errors import EpisodeError


@dataclass(frozen=True)
class Levels:
    """How hard a task is, in its parts.

    Attributes:
        deformation: standard deviation of the displacement between subjects, as a share of the
            side.
        contrast: difference of a structure's mean intensity from its surroundings, of the full
            range.
        distractors: structures that belong to no class.
        resemblance: probability that a distractor has the looks of one of the classes.
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


EASIEST = Levels(0.006, 0.42, 1, 0.0, 0.01, 0.03, 0.015, 0.6)
HARDEST = Levels(0.035, 0.16, 7, 0.9, 0.06, 0.25, 0.07, 1.6)


def levels(difficulty: float) -> Levels:
    """Take each part linearly between the easiest and the hardest.

    Args:
        difficulty: 0 for EASIEST: subjects differ by 0.6 % of the side and structures stand out
            28-fold from the noise; 1 for HARDEST: 3.5 %, and 2.3-fold, among look-alikes.

    Raises:
        EpisodeError: difficulty is not from 0 to 1.

    Example:
        >>> levels(0.5).distractors
        4.0
    """
    if not 0 <= difficulty <= 1:
        raise EpisodeError(f"difficulty is {difficulty}; expected a number from 0 to 1")
    pairs = zip(vars(EASIEST).values(), vars(HARDEST).values(), strict=True)
    return Levels(*((1 - difficulty) * easy + difficulty * hard for easy, hard in pairs))
