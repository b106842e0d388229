"""What `fewshot train` watches: scores on validation subjects, pictures, averages, TensorBoard."""

from collections.abc import Callable, Mapping
from functools import partial

import numpy as np

from episodes.catalog.catalog import Catalog
from episodes.catalog.loader import Loader
from episodes.catalog.splits import draw_subjects
from episodes.errors import DataError
from episodes.sampling.sampler import EpisodeSampler, EpisodeSettings
from fewshot.evaluation.episodic import evaluate
from fewshot.evaluation.figures import evaluation_sheet
from fewshot.experiments.options import SegmenterMonitor, Train
from fewshot.experiments.settings import MonitorOptions
from fewshot.models.network import FewShotNetwork
from fewshot.training.callbacks.figures import Figures
from fewshot.training.callbacks.tensorboard import TensorBoard
from fewshot.training.callbacks.validation import EarlyStopping, KeepBest, Validation
from fewshot.training.callbacks.weight_average import WeightAverage
from fewshot.training.run import Callback

SCORE = "validation_dice"
_EPISODES_DRAWN = 6  # of a picture


def validation_split(
    catalog: Catalog, monitor: SegmenterMonitor, seed: int
) -> tuple[Catalog, Catalog | None]:
    """Split the training catalog once more; validation sees its base classes and nothing held out.

    Raises:
        DataError: there is nothing to validate on, or an option has no effect without validation.
    """
    wanted = monitor.validate is not None or monitor.pictures is not None
    if monitor.patience is not None and monitor.validate is None:
        raise DataError(
            f"patience is {monitor.patience}, but nothing is scored during training; "
            "add --validate STEPS"
        )
    if not wanted:
        return catalog, None
    if not 0 < monitor.validation_share < 1:
        raise DataError(
            f"validation-share is {monitor.validation_share}; expected a share between 0 and 1"
        )
    if not catalog.classes:
        raise DataError(
            "no base class is left to validate on, and held-out ones may not be looked at; hold "
            "out fewer classes, or leave out --validate and --pictures"
        )
    if len(catalog.subjects) < 3:
        raise DataError(
            f"{len(catalog.subjects)} training subjects; expected at least 3 to keep one for "
            "validation. Leave out --validate and --pictures"
        )
    # Of one subject with one image no episode can be made.
    count = max(2, round(monitor.validation_share * len(catalog.subjects)))
    chosen = set(draw_subjects(catalog, min(count, len(catalog.subjects) - 1), seed))
    rest = [subject for subject in catalog.subjects if subject not in chosen]
    return catalog.of_subjects(rest), catalog.of_subjects(sorted(chosen))


def callbacks(
    command: Train, network: FewShotNetwork, validation: Catalog | None
) -> list[Callback]:
    """Make the callbacks that the options ask for."""
    monitor = command.monitor
    made: list[Callback] = []
    if validation is not None:
        sampler = EpisodeSampler(
            validation,
            EpisodeSettings(way=command.way, shot=command.shot),
            loader=Loader(network.settings.size),
            seed=command.train.seed,
        )
        score = partial(_scores, network, sampler, monitor.validation_episodes)
        made += validation_callbacks(score, SCORE, monitor)
        if monitor.pictures is not None:
            made.append(Figures(lambda: _picture(network, sampler), monitor.pictures))
    return [*made, *logging_callbacks(monitor)]


def validation_callbacks(
    score: Callable[[], Mapping[str, float]], name: str, monitor: MonitorOptions
) -> list[Callback]:
    """Make the callbacks that score, keep the best model, and stop early.

    Args:
        score: computes the scores.
        name: of the score that decides.
        monitor: when.
    """
    if monitor.validate is None:
        return []
    made: list[Callback] = [Validation(score, monitor.validate), KeepBest(name)]
    if monitor.patience is not None:
        made.append(EarlyStopping(name, monitor.patience, monitor.minimum_change))
    return made


def logging_callbacks(monitor: MonitorOptions) -> list[Callback]:
    """Make the callbacks that need nothing but the training itself."""
    made: list[Callback] = []
    if monitor.average is not None:
        made.append(WeightAverage(monitor.average))
    if monitor.tensorboard:
        made.append(TensorBoard())
    return made


def _scores(network: FewShotNetwork, sampler: EpisodeSampler, episodes: int) -> dict[str, float]:
    found = evaluate(network, sampler, episodes)
    return {
        SCORE: found.interval("model").mean,
        "validation_copy_mask": found.interval("copy_mask").mean,
    }


def _picture(network: FewShotNetwork, sampler: EpisodeSampler) -> np.ndarray:
    return evaluation_sheet(network, sampler, evaluate(network, sampler, _EPISODES_DRAWN))
