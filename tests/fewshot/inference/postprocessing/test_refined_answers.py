"""Segmenters and protocols with refinement switched on."""

import numpy as np
import pytest

from episodes.catalog.class_areas import compute_class_areas
from episodes.errors import ModelError
from episodes.protocols.adnet import AdnetSettings, adnet
from episodes.readers import read_catalog
from fewshot.evaluation.confusion_counts import GroundTruth
from fewshot.evaluation.protocol_predictor import ProtocolPredictor
from fewshot.inference.postprocessing.settings import PostprocessSettings
from fewshot.inference.predictors.feature_predictor import _runs
from fewshot.inference.predictors.slice import SlicePredictor, SliceSettings
from fewshot.inference.segmenter import Segmenter
from fewshot.models.encoder import EncoderSettings
from fewshot.models.heads import ANILSettings, GradientSettings
from fewshot.models.network import NetworkSettings
from tests.fewshot.conftest import disc_scene

EVERYTHING = PostprocessSettings(
    flip="both",
    similarity=0.5,
    proximity=1.0,
    depth=1.0,
    depth_temperature=0.1,
    smooth="walker",
    smooth_side=32,
    keep="largest",
    fill=True,
)


def test_refined_answers_have_the_image_size_and_still_find_it(segmenter):
    image, labels = disc_scene(0)
    support = segmenter.learn(image, labels, {1: "disc", 2: "bar"}, mirror=True)
    other, truth = disc_scene(0)
    volume = np.stack([other, other[:, ::-1], other])
    result = segmenter.segment(volume, support, EVERYTHING, axes="ZYX")
    assert result.labels.shape == volume.shape
    np.testing.assert_allclose(result.probabilities.sum(axis=0), 1, atol=4e-3)
    found, real = result.labels[0] == 1, truth == 1
    assert 2 * (found & real).sum() / (found.sum() + real.sum()) > 0.7


def test_a_mirrored_pair_gives_the_mirrored_answer(segmenter):
    """Symmetry: what the flip averages over, so mirroring everything changes nothing but sides."""
    image, labels = disc_scene(0)
    query = disc_scene(1)[0]
    settings = PostprocessSettings(flip="both")
    straight = segmenter.segment(query, segmenter.learn(image, labels == 1, mirror=True), settings)
    turned = segmenter.learn(image[:, ::-1], (labels == 1)[:, ::-1], mirror=True)
    found = segmenter.segment(query[:, ::-1], turned, settings).probabilities[..., ::-1]
    np.testing.assert_allclose(found, straight.probabilities, atol=0.02)
    with pytest.raises(ModelError, match="mirror=True"):
        segmenter.segment(query, segmenter.learn(image, labels == 1), settings)


def test_flipping_the_query_treats_both_sides_alike(segmenter):
    """f(x) = mean(g(x), M g(M x)) commutes with the mirror M, whatever g is."""
    image, labels = disc_scene(0)
    support = segmenter.learn(image, labels == 1)
    query = disc_scene(1)[0]
    settings = PostprocessSettings(flip="query")
    straight = segmenter.segment(query, support, settings).probabilities
    turned = segmenter.segment(query[:, ::-1].copy(), support, settings).probabilities
    np.testing.assert_allclose(turned[..., ::-1], straight, atol=0.02)
    plain = segmenter.segment(query, support).probabilities
    assert np.abs(plain.astype(float) - straight).max() > 0.05  # it does something


def test_coordinates_make_another_feature_space(segmenter):
    image, labels = disc_scene(0)
    there = Segmenter(segmenter.network.with_coordinates(0.6))
    assert there.network.fingerprint() != segmenter.network.fingerprint()
    assert (
        Segmenter(there.network.with_coordinates(0.0)).network.fingerprint()
        == segmenter.network.fingerprint()
    )
    support = there.learn(image, labels == 1)
    assert there.segment(image, support).areas()["foreground"] > 0
    with pytest.raises(ModelError, match="another model"):
        segmenter.segment(image, support)
    plain = EncoderSettings(weights="none")
    fitted = Segmenter(NetworkSettings(plain, ANILSettings(), 64, 0.6))
    assert fitted.network.head.start.weight.shape == (fitted.network.encoder.features + 2,)
    with pytest.raises(ModelError, match="weights without coordinates"):
        Segmenter(fitted.network.with_coordinates(0.3))
    with pytest.raises(ModelError, match="works on the encoder's levels"):
        Segmenter(NetworkSettings(plain, GradientSettings(), 64, 0.6))
    with pytest.raises(ModelError, match="coordinates is -1"):
        Segmenter(NetworkSettings(plain, size=64, coordinates=-1))


def test_protocols_are_refined_as_images_are(nifti_set, segmenter):
    catalog = compute_class_areas(read_catalog(nifti_set))
    truth = GroundTruth(catalog)
    protocol = adnet(catalog, AdnetSettings(folds=3, evaluation=2, slices=2))
    plan = protocol.cases[0].plan

    def predict(*settings, **named):
        predictor = SlicePredictor(segmenter.network, SliceSettings(*settings, **named))
        return list(ProtocolPredictor(truth, predictor)(plan))

    plain = predict()
    off = predict(PostprocessSettings())
    np.testing.assert_array_equal(np.stack(plain), np.stack(off))
    refined = predict(EVERYTHING)
    assert [mask.shape for mask in refined] == [mask.shape for mask in plain]
    assert not np.array_equal(np.stack(refined), np.stack(plain))
    for how in ("probabilities", "weighted", "majority"):
        assert len(predict(ensemble=how)) == len(plan.query)


def test_stacks_end_where_planes_do_not_follow():
    assert list(_runs([0, 1, 3, 4, 4, 2])) == [[0, 1], [2, 3], [4], [5]]
    assert list(_runs([])) == []
