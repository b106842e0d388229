"""`fewshot match train`: an embedding network from pairs, some classes or subjects kept apart."""

import hashlib
import json
import math
import os
from dataclasses import asdict, replace
from typing import Any

from episodes.catalog.catalog import Catalog
from episodes.catalog.loader import Loader
from episodes.catalog.splits import Split
from episodes.io.write import make_folder
from episodes.sampling.pairs import PairSampler, PairSettings
from fewshot.evaluation.results import machine
from fewshot.experiments.embedding_callbacks import pair_callbacks, score_callbacks
from fewshot.experiments.embedding_losses import make_loss
from fewshot.experiments.pair_data import (
    TRANSFORMS,
    make_name_split,
    masks_for,
    name_validation_split,
)
from fewshot.experiments.pair_options import MatchTrain, PairOptions
from fewshot.experiments.run_record import check_out, earlier_commands, same_data
from fewshot.experiments.split import describe_split, open_catalog
from fewshot.memory import check_memory
from fewshot.models.embedding_network import EmbeddingNetwork, EmbeddingSettings, load_embedding
from fewshot.models.encoder import EncoderSettings
from fewshot.models.levels import strides_of
from fewshot.models.small_encoder import SmallSettings
from fewshot.models.stroke_augmentation import InkSettings
from fewshot.provenance import typed_command
from fewshot.siamese.cross_batch_memory import CrossBatchMemory
from fewshot.siamese.hard_negatives import HardNegatives
from fewshot.siamese.objective import pair_task
from fewshot.training.loop import TrainResult
from fewshot.training.loop import train as run_training
from fewshot.training.seeding import seeded_weights

SMALL = "small"


def match_train(command: MatchTrain) -> int:
    """Train, and say where everything is."""
    first = os.environ.get("RANK", "0") == "0"  # of several processes under torchrun, one speaks
    if first:
        check_out(command.data, command)
    make_folder(command.out)
    network = make_network(command)
    pairs = command.pairs
    needs_masks = masks_for(pairs.identity, pairs.regions)
    catalog = open_catalog(command.data, command.dataset, masks_for=needs_masks)
    parts = make_name_split(catalog, command.hold_out, pairs.identity)
    if first:
        print(
            f"{len(parts.train)} training images of {len(parts.train.subjects)} subjects and "
            f"{len(parts.train.classes)} classes; held out: {len(parts.test)} images of "
            f"{len(parts.test.subjects)} subjects and {len(parts.test.classes)} classes"
        )
    result = fit(network, parts, command)
    if first:
        print(
            f"{result}\nnetwork, log and curves in {command.out}\n"
            f"next: fewshot match score {command.data} --model {command.out}"
        )
    if result.interrupted:
        raise KeyboardInterrupt
    return 0


def fit(network: EmbeddingNetwork, parts: Split, command: MatchTrain) -> TrainResult:
    """Train on one side of a split, and remember the split; prints nothing but the progress.

    Args:
        network: trained in place.
        parts: the test side is described only.
        command: says how, and into which folder.

    Raises:
        DataError: the folder holds a run that was stopped, or a run to be resumed had other data.
        EpisodeError: the training images cannot fill a batch.
    """
    pairs, seed = command.pairs, command.train.seed
    learnt, validation = name_validation_split(parts.train, command.monitor, pairs.identity, seed)
    sampler = make_sampler(learnt, network, command)
    loss = make_loss(pairs, len(sampler.names), network.dim, seed)
    memory = make_memory(pairs, network.dim)
    images = math.ceil(sampler.size / command.train.accumulate)
    device = next(network.parameters()).device
    check_memory(network.encoder, network.settings.size, images, device, training=True)
    negatives = make_negatives(pairs, sampler, network.dim)
    task = pair_task(network, sampler, loss, memory=memory, negatives=negatives)
    about = describe(command, parts, learnt, validation)
    if command.resume:
        same_data(command.out, dict(about))
    watched = pair_callbacks(command, network, loss, negatives, sampler)
    if validation is not None:
        watched += score_callbacks(command, network, validation)
    settings = replace(command.train, batch=sampler.size)
    return run_training(
        task,
        settings,
        command.out,
        watched,
        resume=command.resume,
        overwrite=command.output.overwrite,
        split=about,
    )


def make_network(command: MatchTrain) -> EmbeddingNetwork:
    """Build the network, or load the one to go on from."""
    if command.model is not None:
        return load_embedding(command.model)
    net, seed = command.net, command.train.seed
    encoder: EncoderSettings | SmallSettings
    if net.network == SMALL:
        encoder = SmallSettings(net.widths, net.blocks)
    else:
        strides = strides_of(net.network, net.strides)
        encoder = EncoderSettings(net.network, strides, net.weights)
    ink = InkSettings(net.ink_side) if net.ink else None
    settings = EmbeddingSettings(
        *(encoder, net.pooling, net.dim or 0, net.normalise, net.size, seed, ink, net.centred)
    )
    with seeded_weights(seed):
        return EmbeddingNetwork(settings)


def make_sampler(catalog: Catalog, network: EmbeddingNetwork, command: MatchTrain) -> PairSampler:
    """Draw batches of pairs at the network's size."""
    pairs = command.pairs
    settings = PairSettings(
        pairs.classes_per_batch,
        pairs.images_per_class,
        pairs.identity,
        pairs.regions,
        pairs.disjoint_subjects,
        rotation_classes=pairs.rotation_classes,
    )
    return PairSampler(
        catalog,
        settings,
        loader=Loader(network.settings.size),
        seed=command.train.seed,
        transform=TRANSFORMS[pairs.augment],
    )


def make_memory(pairs: PairOptions, dim: int) -> CrossBatchMemory | None:
    """Keep earlier batches, if that was asked for."""
    return CrossBatchMemory(pairs.memory, dim, pairs.memory_patience) if pairs.memory else None


def make_negatives(pairs: PairOptions, sampler: PairSampler, dim: int) -> HardNegatives | None:
    """Find the nearest negatives of the whole data set, if that was asked for."""
    if not pairs.hard_negatives:
        return None
    return HardNegatives(len(sampler.all_items()), dim, pairs.hard_negatives)


def describe(
    command: MatchTrain, parts: Split, learnt: Catalog, validation: Catalog | None
) -> dict[str, Any]:
    """What is remembered of a run's data: enough to hold out the same again."""
    drawn = {**asdict(command.pairs), "size": command.net.size, "seed": command.train.seed}
    text = json.dumps([learnt.fingerprint, drawn], sort_keys=True)
    by_class = command.pairs.identity == "class"
    return {
        "command": typed_command(),
        "earlier_commands": earlier_commands(command.model),
        **describe_split(command.data, command.dataset, command.hold_out, parts),
        "identity": command.pairs.identity,
        "validation": []
        if validation is None
        else list(validation.classes if by_class else validation.subjects),
        "episodes": {**drawn, "hash": hashlib.sha256(text.encode()).hexdigest()[:16]},
        "machine": machine(),
    }
