import itertools
import json
import math
import os
import signal

import pytest
import torch

from episodes import bundled
from episodes.catalog.class_areas import compute_class_areas
from episodes.catalog.loader import Loader
from episodes.errors import DataError, FewshotError
from episodes.readers import read_catalog
from episodes.sampling.episode import collate
from episodes.sampling.sampler import EpisodeSampler
from fewshot.inference.segmenter import Segmenter
from fewshot.losses.episode_cross_entropy import segmentation_loss
from fewshot.losses.episode_loss import EpisodeLoss
from fewshot.models.checkpoint import load_network
from fewshot.registry import LOSSES
from fewshot.training.alignment_loss import alignment_loss
from fewshot.training.episodic import episode_task
from fewshot.training.loop import schedule, train
from fewshot.training.objective import EpisodeObjective
from fewshot.training.settings import EpisodeTraining, TrainSettings
from tests.fewshot.models.heads.family import two_colour_task


@pytest.fixture(scope="module")
def sampler():
    return EpisodeSampler(
        compute_class_areas(read_catalog(bundled.path("emoji"))), loader=Loader(64)
    )


def test_a_few_steps_lower_the_loss_and_leave_a_run_folder(own_segmenter, sampler, tmp_path):
    batch = collate([sampler.episode(i) for i in range(4)])
    before = EpisodeObjective(own_segmenter.network.eval(), 0.0)(batch)["loss"].item()
    settings = TrainSettings(steps=8, minutes=0.0, batch=4, learning_rate=1e-3)
    result = train(episode_task(own_segmenter.network, sampler), settings, tmp_path, progress=False)
    assert (result.steps, result.interrupted) == (8, False)
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == list(range(1, 9))
    assert result.loss == pytest.approx(sum(line["loss"] for line in lines) / 8)
    for line in lines:
        assert line["loss"] == pytest.approx(line["query_loss"] + line["alignment_loss"], rel=1e-5)
    assert EpisodeObjective(own_segmenter.network, 0.0)(batch)["loss"].item() < before
    loaded = Segmenter(load_network(tmp_path))
    for name, tensor in own_segmenter.network.state_dict().items():
        assert torch.equal(tensor, loaded.network.state_dict()[name]), name


def test_ctrl_c_ends_after_the_step_and_leaves_a_valid_checkpoint(own_segmenter, sampler, tmp_path):
    class Stop:
        def episode(self, index):
            if index == 4:
                os.kill(os.getpid(), signal.SIGINT)
            return sampler.episode(index)

    settings = TrainSettings(steps=100, minutes=0.0, batch=2)
    result = train(episode_task(own_segmenter.network, Stop()), settings, tmp_path, progress=False)
    assert (result.steps, result.interrupted) == (3, True)
    assert len((tmp_path / "log.jsonl").read_text().splitlines()) == 3
    Segmenter(load_network(tmp_path))


def test_a_loss_that_is_no_number_stops_the_run(own_segmenter, sampler, tmp_path):
    with torch.no_grad():
        next(own_segmenter.network.parameters()).fill_(float("nan"))
    settings = TrainSettings(steps=3, minutes=0.0, batch=1)
    with pytest.raises(FloatingPointError, match="step 1"):
        train(episode_task(own_segmenter.network, sampler), settings, tmp_path, progress=False)


def test_settings_are_checked(own_segmenter, sampler, tmp_path):
    for wrong in ({"batch": 0}, {"steps": -1}, {"minutes": 0.0}, {"warmup": 1.0}):
        with pytest.raises(FewshotError):
            TrainSettings(**wrong)
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="cannot be written"):
        train(
            episode_task(own_segmenter.network, sampler),
            TrainSettings(steps=1),
            tmp_path / "file",
            progress=False,
        )


def test_alignment_by_hand(monkeypatch):
    """Right predictions on the support itself align perfectly; empty ones are skipped."""
    from fewshot.models.heads import PANetHead

    head = PANetHead()
    support, masks, _, _ = two_colour_task(way=2)
    truth = torch.zeros(2, 1, 3, 32, 32)
    label = (masks[:, 0, 0] == 1).long() + 2 * (masks[:, 1, 0] == 1).long()
    truth.scatter_(2, label[:, None, None], 1.0)
    aligned = alignment_loss(head, support, masks, support[:, :1, 0], truth)
    assert 0 < aligned < 0.2
    nothing = torch.zeros(2, 1, 3, 32, 32)
    nothing[:, :, 0] = 1
    assert alignment_loss(head, support, masks, support[:, :1, 0], nothing) == 0
    wrong = truth[:, :, [1, 0, 2]]
    assert alignment_loss(head, support, masks, support[:, :1, 0], wrong) > 1


def test_segmentation_loss_by_hand():
    logits = torch.tensor([0.0, math.log(3)]).reshape(1, 1, 2, 1, 1).expand(1, 1, 2, 2, 2)
    target = torch.tensor([[1, 0], [255, 255]], dtype=torch.uint8)[None, None]
    expected = (-math.log(0.75) - math.log(0.25)) / 2
    assert segmentation_loss(logits, target).item() == pytest.approx(expected, rel=1e-5)
    both = torch.cat([target, torch.zeros_like(target)])  # each episode counts alike
    second = -math.log(0.25)
    assert segmentation_loss(torch.cat([logits, logits]), both).item() == pytest.approx(
        (expected + second) / 2, rel=1e-5
    )
    logits = logits.clone().requires_grad_()
    nothing = segmentation_loss(logits, torch.full_like(target, 255))
    nothing.backward()
    assert nothing == 0
    assert (logits.grad == 0).all()


def test_balanced_segmentation_loss_by_hand():
    """One pixel of a class counts as much as three of the background."""
    logits = torch.tensor([0.0, math.log(3)]).reshape(1, 1, 2, 1, 1).expand(1, 1, 2, 2, 2)
    target = torch.tensor([[1, 0], [0, 0]], dtype=torch.uint8)[None, None]
    expected = (-math.log(0.75) - math.log(0.25)) / 2
    assert segmentation_loss(logits, target, balanced=True).item() == pytest.approx(expected)
    unknown = torch.full_like(target, 255)
    assert segmentation_loss(logits, unknown, balanced=True) == 0
    target[0, 0, 1] = 255
    assert segmentation_loss(logits, target, balanced=True).item() == pytest.approx(expected)


def test_weighted_segmentation_loss_is_that_of_torch():
    """ALPNet's weights 0.05 and 1: the mean is taken over the weights of the known pixels."""
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(2, 1, 3, 4, 4, generator=generator)
    target = torch.randint(0, 3, (2, 1, 4, 4), generator=generator).to(torch.uint8)
    target[0, 0, 0] = 255
    weights = torch.tensor([0.05, 1.0, 1.0])
    expected = [
        torch.nn.functional.cross_entropy(
            logits[n], target[n].long(), weight=weights, ignore_index=255
        )
        for n in range(2)
    ]
    found = segmentation_loss(logits, target, class_weights=(0.05, 1.0))
    torch.testing.assert_close(found, torch.stack(expected).mean())
    unknown = torch.full_like(target, 255)
    assert segmentation_loss(logits, unknown, class_weights=(0.05, 1.0)) == 0
    with pytest.raises(ValueError, match="give one"):
        segmentation_loss(logits, target, balanced=True, class_weights=(0.05, 1.0))


def test_class_weights_replace_the_heads_own_in_the_queries_loss(own_segmenter, sampler):
    batch = collate([sampler.episode(0)])
    plain, weighted = (EpisodeObjective(own_segmenter.network, 1.0, w) for w in (None, (0.05, 1.0)))
    before, after = plain(batch), weighted(batch)
    assert after["query_loss"].item() != pytest.approx(before["query_loss"].item(), rel=1e-2)
    assert after["alignment_loss"].item() == pytest.approx(before["alignment_loss"].item())
    for wrong in ((0.0, 1.0), (1.0, -1.0)):
        with pytest.raises(FewshotError, match="class_weights"):
            EpisodeTraining(class_weights=wrong)


@pytest.mark.parametrize("loss", [*LOSSES.names(), "dice+0.5*cross_entropy"])
def test_every_loss_trains_and_moves_the_weights(own_segmenter, sampler, tmp_path, loss):
    network = own_segmenter.network
    before = {name: tensor.clone() for name, tensor in network.named_parameters()}
    settings = EpisodeTraining(steps=2, minutes=0.0, batch=2, loss=loss)
    task = episode_task(network, sampler, loss=settings.loss)
    result = train(task, settings, tmp_path, progress=False)
    assert math.isfinite(result.loss)
    moved = [not torch.equal(tensor, before[name]) for name, tensor in network.named_parameters()]
    assert sum(moved) > len(moved) / 2
    assert json.loads((tmp_path / "settings.json").read_text())["train"]["loss"] == loss


def test_the_alignment_takes_the_same_loss(own_segmenter, sampler):
    batch = collate([sampler.episode(0)])
    network = own_segmenter.network
    plain = EpisodeObjective(network, 1.0)(batch)
    dice = EpisodeObjective(network, 1.0, loss=EpisodeLoss("dice"))(batch)
    for part in ("query_loss", "alignment_loss"):
        assert dice[part].item() != pytest.approx(plain[part].item(), rel=1e-2)
        assert 0 < dice[part].item() <= 1


def test_schedule_rises_and_falls():
    rates = [schedule(share / 100, 0.1) for share in range(101)]
    assert rates.index(max(rates)) == 10
    assert all(a > b for a, b in itertools.pairwise(rates[10:]))
    assert schedule(2.0, 0.1) == pytest.approx(0.01)
