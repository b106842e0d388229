import pytest
import torch

from episodes.catalog.class_areas import compute_class_areas
from episodes.catalog.loader import Loader
from episodes.errors import FewshotError, ModelError
from episodes.readers import read_catalog
from episodes.sampling.pairs import PairSampler, PairSettings
from fewshot.models.checkpoint import read_tensors
from fewshot.models.embedding_network import EmbeddingNetwork, EmbeddingSettings, load_embedding
from fewshot.models.encoder import EncoderSettings
from fewshot.siamese.cross_batch_memory import CrossBatchMemory
from fewshot.siamese.hard_negatives import HardNegatives, RefreshNegatives
from fewshot.siamese.losses.arcface import ArcFaceLoss
from fewshot.siamese.losses.base import PairLoss
from fewshot.siamese.losses.contrastive import ContrastiveLoss
from fewshot.siamese.losses.pair_cross_entropy import PairCrossEntropy
from fewshot.siamese.objective import LOSS, PairObjective, pair_task
from fewshot.siamese.weighted_l1 import WeightedL1
from fewshot.training.callbacks.log import read_log
from fewshot.training.loop import train
from fewshot.training.run import Callback
from fewshot.training.settings import TrainSettings
from tests.fewshot.siamese.tiny import DIM, Linear, tiny_sampler, tiny_task
from tests.fewshot.training.tiny import assert_equal, weights


def settings(**changes):
    return TrainSettings(
        **{"minutes": 0.0, "steps": 12, "batch": 12, "learning_rate": 0.01, **changes}
    )


class StopAt(Callback):
    def __init__(self, step):
        self.at = step

    def on_step_end(self, run, values):
        if run.step == self.at:
            run.stop("test")


def run(task, folder, sampler_folder, stop=-1, resume=False, **changes):
    objective = task.objective
    refresh = RefreshNegatives(
        objective.negatives, objective.network, tiny_sampler(sampler_folder), 5
    )
    return train(
        task, settings(**changes), folder, [StopAt(stop), refresh], resume=resume, progress=False
    )


def test_resume_is_exact_with_memory_and_hard_negatives(index_set, tmp_path):
    whole = tiny_task(index_set, dropout=0.2)
    torch.manual_seed(3)
    run(whole, tmp_path / "whole", index_set)
    assert whole.objective.memory.pushed == 12 * 12
    assert whole.objective.negatives.ready
    for stop in (1, 7):
        folder = tmp_path / str(stop)
        first = tiny_task(index_set, dropout=0.2)
        torch.manual_seed(3)
        run(first, folder, index_set, stop)
        torch.manual_seed(99)
        rest = tiny_task(index_set, seed=1, dropout=0.2)
        result = run(rest, folder, index_set, resume=True)
        assert result.steps == 12
        assert_equal(weights(rest), weights(whole))
    rows = [
        [{**r, "seconds": 0} for r in read_log(tmp_path / n / "log.jsonl")] for n in ("whole", "7")
    ]
    assert rows[0] == rows[1]
    assert {"loss", "active", "effective_rank"} <= set(rows[0][0])


def test_references_change_what_is_learned_and_training_lowers_the_loss(index_set, tmp_path):
    task = tiny_task(index_set)
    run(task, tmp_path / "both", index_set, steps=60)
    rows = read_log(tmp_path / "both" / "log.jsonl")
    assert rows[-1]["active"] < rows[0]["active"]
    alone = tiny_task(index_set)
    objective = PairObjective(alone.objective.network, alone.objective.loss, 12)
    batch = alone.load(range(12))
    without = objective(batch)["loss"].item()
    alone.objective.memory.patience = 0
    # An empty memory changes nothing; a filled one does.
    assert alone.objective(batch)["loss"].item() == pytest.approx(without, abs=1e-6)
    batch = alone.load(range(12, 24))
    without = objective(batch)["loss"].item()
    assert abs(alone.objective(batch)["loss"].item() - without) > 1e-3


def test_settings_are_checked(index_set):
    sampler = tiny_sampler(index_set)
    with pytest.raises(ValueError, match="every is 0"):
        RefreshNegatives(HardNegatives(1, 2), Linear(), sampler, every=0)


class Spy(PairLoss):
    """Keeps what it was given."""

    def forward(
        self, embeddings, labels, references=None, reference_labels=None, ignored_pairs=None
    ):
        self.given = (labels, reference_labels, ignored_pairs)
        return {"loss": embeddings.sum()}


def test_an_image_in_the_memory_is_not_its_own_positive(index_set):
    sampler, spy = tiny_sampler(index_set), Spy()
    objective = PairObjective(Linear(), spy, 12, CrossBatchMemory(50, DIM))
    batch = sampler.batch(0)
    objective(batch)
    objective(batch)  # now the memory holds the very same images
    _, reference_labels, ignored_pairs = spy.given
    assert len(reference_labels) == 24
    assert torch.equal(ignored_pairs[:, :12], torch.eye(12, dtype=torch.bool))
    assert torch.equal(ignored_pairs[:, 12:], torch.eye(12, dtype=torch.bool))
    objective.eval()
    objective(batch)
    assert objective.memory.pushed == 24  # only training fills it


def test_a_batch_in_parts_is_refused(index_set, tmp_path):
    with pytest.raises(FewshotError, match="6 images were gathered, a batch of pairs has 12"):
        run(tiny_task(index_set), tmp_path, index_set, accumulate=2)
    with pytest.raises(ValueError, match="ArcFaceLoss compares with class centres"):
        PairObjective(Linear(), ArcFaceLoss(3, DIM), 12, CrossBatchMemory(5, DIM))


def test_the_whole_way_with_a_real_encoder(index_set, tmp_path):
    encoder = EncoderSettings(weights="none")
    network = EmbeddingNetwork(EmbeddingSettings(encoder, dim=DIM, size=32, normalise=False))
    pairs = PairSettings(2, 2, regions=True)
    sampler = PairSampler(compute_class_areas(read_catalog(index_set)), pairs, loader=Loader(32))
    loss = PairCrossEntropy(WeightedL1(DIM))
    task = pair_task(network, sampler, loss)
    before = loss.head.weights.detach().clone()
    result = train(task, settings(steps=2, batch=4), tmp_path, progress=False)
    assert result.steps == 2
    loaded, images = load_embedding(tmp_path), sampler.batch(0)
    torch.testing.assert_close(
        loaded.embed(images.images, images.masks), network.embed(images.images, images.masks)
    )
    saved, about = read_tensors(tmp_path / LOSS)
    assert torch.equal(saved["head.weights"], loss.head.weights)
    assert not torch.equal(saved["head.weights"], before)
    assert about == {"kind": "PairCrossEntropy"}
    other = PairSampler(compute_class_areas(read_catalog(index_set)), pairs, loader=Loader(64))
    with pytest.raises(ModelError, match="loaded at 64 pixels and the network's size is 32"):
        pair_task(network, other, ContrastiveLoss())
