import math

import numpy as np
import pytest
import torch

from episodes import bundled
from episodes.catalog.class_areas import compute_class_areas
from episodes.catalog.loader import Loader
from episodes.errors import DataError, ModelError
from episodes.readers import read_catalog
from episodes.sampling.sampler import EpisodeSampler
from fewshot.inference.segmenter import Segmenter
from fewshot.metrics.calibration import calibration_counts, expected_calibration_error
from fewshot.models.calibration import Calibration, calibrate, fit_calibration
from fewshot.models.checkpoint import CALIBRATION, load_network, save_network
from tests.fewshot.conftest import disc_scene


def drawn(pixels: int = 20_000, factor: float = 5.0, shift: float = 0.0):
    """Logits whose truth is drawn from softmax(logits / factor + shift of the classes)."""
    generator = torch.Generator().manual_seed(0)
    logits = factor * torch.randn(pixels, 3, generator=generator)
    honest = logits / factor + torch.tensor([0.0, shift, shift])
    labels = torch.multinomial(honest.softmax(dim=1), 1, generator=generator)[:, 0]
    return logits, labels


def error(logits: torch.Tensor, labels: torch.Tensor) -> float:
    return expected_calibration_error(
        calibration_counts(logits.softmax(1).T.numpy(), labels.numpy())
    )


def test_the_temperature_that_made_the_labels_is_found():
    logits, labels = drawn()
    found = fit_calibration(logits, labels)
    assert found.temperature == pytest.approx(5.0, rel=0.05)
    assert found.bias == 0
    after = found(logits.T[..., None])[..., 0].T
    assert error(logits, labels) > 0.2
    assert error(after, labels) < 0.02
    assert torch.equal(after.argmax(1), logits.argmax(1))


def test_bias_and_temperature_are_found_together():
    logits, labels = drawn(shift=1.5)
    found = fit_calibration(logits, labels, bias=True)
    assert found.temperature == pytest.approx(5.0, rel=0.05)
    assert found.bias == pytest.approx(1.5, abs=0.1)
    changed = Calibration(2.0, 1.0)(torch.zeros(3, 1, 1))
    assert changed[:, 0, 0].tolist() == [0.0, 1.0, 1.0]


def test_no_nearby_calibration_costs_less():
    logits, labels = drawn(2000)
    found = fit_calibration(logits, labels)

    def cost(temperature):
        return float(torch.nn.functional.cross_entropy(logits / temperature, labels))

    assert cost(found.temperature) <= min(cost(found.temperature * f) for f in (0.95, 1.05))


def test_unknown_pixels_do_not_count_and_perfect_answers_stay_finite():
    logits, labels = drawn(2000)
    more = torch.cat([logits, 100 * torch.ones(50, 3)])
    unknown = torch.cat([labels, torch.full((50,), 255)])
    assert fit_calibration(more, unknown).temperature == pytest.approx(
        fit_calibration(logits, labels).temperature, rel=1e-4
    )
    right = torch.tensor([[5.0, -5.0], [-5.0, 5.0]])
    assert 0.01 <= fit_calibration(right, torch.tensor([0, 1])).temperature < 1
    assert fit_calibration(right, torch.tensor([1, 0])).temperature == 100
    with pytest.raises(DataError, match="no pixel"):
        fit_calibration(right, torch.tensor([255, 255]))


@pytest.mark.parametrize("values", [(0.0, 0.0), (math.nan, 0.0), (1.0, math.inf)])
def test_calibrations_without_meaning_are_refused(values):
    with pytest.raises(ModelError, match="expected a"):
        Calibration(*values)


def test_a_segmenter_is_calibrated_on_episodes_and_saved(own_segmenter, tmp_path):
    source = EpisodeSampler(
        compute_class_areas(read_catalog(bundled.path("emoji"))), loader=Loader(64)
    )
    found = calibrate(own_segmenter.network.eval(), source, 3, pixels=200)
    assert found == calibrate(own_segmenter.network, source, 3, pixels=200)
    own_segmenter.network.calibration = Calibration(4.0, 0.5)
    loaded = Segmenter(load_network(save_network(own_segmenter.network, tmp_path)))
    assert loaded.network.calibration == Calibration(4.0, 0.5)
    image, labels = disc_scene(0)
    own_segmenter.network.calibration = Calibration(4.0)
    calm = own_segmenter.segment(image, own_segmenter.learn(image, labels == 1))
    own_segmenter.network.calibration = Calibration()
    sure = own_segmenter.segment(image, own_segmenter.learn(image, labels == 1))
    np.testing.assert_array_equal(calm.mask, sure.mask)
    assert calm.confidence.mean() < sure.confidence.mean()
    save_network(own_segmenter.network, tmp_path)
    assert not (tmp_path / CALIBRATION).exists()  # an old file would be another model's
    (tmp_path / CALIBRATION).write_text('{"temperature": -1}')
    with pytest.raises(ModelError, match="temperature is -1"):
        Segmenter(load_network(tmp_path))
