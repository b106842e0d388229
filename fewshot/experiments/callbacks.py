"""What `fewshot train` watches: scores on subjects kept aside, pictures, averages, TensorBoard."""

from collections.abc import Mapping

import numpy as np

from episodes.catalog.catalog import Catalog
from episodes.catalog.loader import Loader
from episodes.catalog.splits import draw_subjects
from episodes.errors import DataError
from episodes.sampling.sampler import EpisodeSampler, EpisodeSettings
from fewshot.evaluation.episodic import evaluate
from fewshot.evaluation.figures import evaluation_sheet
from fewshot.experiments.options import Train, Watch
from fewshot.models.network import FewShotNetwork
from fewshot.training.callbacks.figures import Figures
from fewshot.training.callbacks.tensorboard import TensorBoard
from fewshot.training.callbacks.validation import EarlyStopping, KeepBest, Validation
from fewshot.training.callbacks.weight_average import WeightAverage
from fewshot.training.run import Callback

SCORE = "validation_dice"
_EPISODES_DRAWN = 6  # of a picture


def keep_aside(catalog: Catalog, watch: Watch, seed: int) -> tuple[Catalog, Catalog | None]:
    """Split the training catalog once more; validation sees its base classes and nothing held out.

    Raises:
        DataError: there is nothing to validate on, or an option has no effect without validation.
    """
    wanted = bool(watch.validate or watch.pictures)
    if watch.patience and not watch.validate:
        raise DataError(
            f"patience is {watch.patience}, but nothing is scored during training; "
            "add --validate STEPS"
        )
    if not wanted:
        return catalog, None
    if not 0 < watch.validation_share < 1:
        raise DataError(
            f"validation-share is {watch.validation_share}; expected a share between 0 and 1"
        )
    if not catalog.classes:
        raise DataError(
            "no base class is left to validate on, and held-out ones may not be looked at; hold "
            "out fewer classes, or leave out --validate and --pictures"
        )
    if len(catalog.subjects) < 3:
        raise DataError(
            f"{len(catalog.subjects)} training subjects; expected at least 3 to keep one aside. "
            "Leave out --validate and --pictures"
        )
    # Of one subject with one image no episode can be made.
    count = max(2, round(watch.validation_share * len(catalog.subjects)))
    aside = set(draw_subjects(catalog, min(count, len(catalog.subjects) - 1), seed))
    rest = [subject for subject in catalog.subjects if subject not in aside]
    return catalog.of_subjects(rest), catalog.of_subjects(sorted(aside))


def callbacks(command: Train, network: FewShotNetwork, aside: Catalog | None) -> list[Callback]:
    """Make the callbacks that the options ask for."""
    watch = command.watch
    made: list[Callback] = []
    if aside is not None:
        sampler = EpisodeSampler(
            aside,
            EpisodeSettings(way=command.way, shot=command.shot),
            loader=Loader(network.settings.size),
            seed=command.train.seed,
        )
        if watch.validate:
            made += _scores(watch, network, sampler)
        if watch.pictures:
            made.append(Figures(lambda: _picture(network, sampler), watch.pictures))
    if watch.average:
        made.append(WeightAverage(watch.average))
    if watch.tensorboard:
        made.append(TensorBoard())
    return made


def _scores(watch: Watch, network: FewShotNetwork, sampler: EpisodeSampler) -> list[Callback]:
    def score() -> Mapping[str, float]:
        found = evaluate(network, sampler, watch.validation_episodes)
        return {
            SCORE: found.interval("model").mean,
            "validation_copy_mask": found.interval("copy_mask").mean,
        }

    made: list[Callback] = [Validation(score, watch.validate), KeepBest(SCORE)]
    if watch.patience:
        made.append(EarlyStopping(SCORE, watch.patience, watch.minimum_change))
    return made


def _picture(network: FewShotNetwork, sampler: EpisodeSampler) -> np.ndarray:
    return evaluation_sheet(network, sampler, evaluate(network, sampler, _EPISODES_DRAWN))
