"""What `fewshot match train` measures: scores on validation names, collapse, averages."""

from functools import partial

from episodes.catalog.catalog import Catalog
from episodes.catalog.loader import Loader
from episodes.sampling.pairs import PairSampler, PairSettings
from fewshot.experiments.callbacks import logging_callbacks, validation_callbacks
from fewshot.experiments.pair_options import MatchTrain
from fewshot.models.embedding_network import EmbeddingNetwork
from fewshot.siamese.collapse_monitor import CollapseMonitor
from fewshot.siamese.hard_negatives import HardNegatives, RefreshNegatives
from fewshot.siamese.losses.base import PairLoss
from fewshot.siamese.losses.triplet import TripletLoss
from fewshot.siamese.retrieval.catalog_items import embed_catalog
from fewshot.siamese.verification.embedding_scores import EmbeddingScores
from fewshot.training.run import Callback

SCORE = "validation_auc"
MAX_IMAGES = 2000  # of a score: all their pairs are compared


def pair_callbacks(
    command: MatchTrain,
    network: EmbeddingNetwork,
    loss: PairLoss,
    negatives: HardNegatives | None,
    sampler: PairSampler,
) -> list[Callback]:
    """Make the callbacks that look at the training images alone.

    Args:
        command: what was asked for.
        network: that is trained.
        loss: that is minimised.
        negatives: to be found anew; None for none.
        sampler: of the training images.
    """
    monitor = command.monitor
    made: list[Callback] = []
    if negatives is not None:
        made.append(RefreshNegatives(negatives, network, sampler, command.pairs.refresh))
    if monitor.collapse:
        made.append(CollapseMonitor(loss if isinstance(loss, TripletLoss) else None))
    return [*made, *logging_callbacks(monitor)]


def score_callbacks(
    command: MatchTrain, network: EmbeddingNetwork, validation: Catalog
) -> list[Callback]:
    """Make the callbacks that score validation images."""
    monitor, pairs = command.monitor, command.pairs
    # Of the sampler only the list of images is used: two names with two images are enough.
    settings = PairSettings(1, 2, pairs.identity, pairs.regions)
    lister = PairSampler(validation, settings, loader=Loader(network.settings.size))

    score = partial(validation_scores, network, lister, monitor.min_gap)
    return validation_callbacks(score, SCORE, monitor)


def validation_scores(
    network: EmbeddingNetwork, lister: PairSampler, min_gap: int = 1
) -> dict[str, float]:
    """Score what a sampler lists, at most `MAX_IMAGES` of it, evenly chosen."""
    vectors, labels = embed_catalog(network, lister, MAX_IMAGES)
    return {
        f"validation_{name}": value
        for name, value in EmbeddingScores(vectors, labels, min_gap).values().items()
    }
