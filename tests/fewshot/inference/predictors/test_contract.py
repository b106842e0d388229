"""What every predictor keeps to, and how it is built."""

import nibabel as nib
import numpy as np
import pytest
import torch

from episodes import plugins
from episodes.errors import DataError, FewshotError, ModelError
from fewshot.inference.inputs import ImageStack, image_planes
from fewshot.inference.predictors.build import build_predictor, needs_network
from fewshot.inference.predictors.feature_predictor import _runs, annotated_slices
from fewshot.inference.predictors.registered_volume import _kind_of
from fewshot.inference.preprocess import only_selected
from fewshot.inference.slice_features import SliceFeatures, identity_of
from fewshot.inference.support_set import SupportSet
from fewshot.models.checkpoint import build_network
from fewshot.models.encoder import EncoderSettings
from fewshot.models.heads.adnet import ADNetSettings
from fewshot.models.heads.gradient_settings import GradientSettings
from fewshot.models.heads.universeg import UniverSegSettings
from fewshot.models.network import NetworkSettings
from fewshot.registry import PREDICTORS
from tests.fewshot.baselines.scenes import QUICK as BASELINES

from .volumes import volume

TRAINED = {n: {**BASELINES[n], "steps": 1, "batch": 1} for n in ("fcn", "mask-rcnn", "unet")}
QUICK = {**BASELINES, **TRAINED, "self-configuring": {"method": ("neighbours-256",)}}
QUICK["best-objects"] = {"candidates": ("threshold", "k-means")}
VOLUMES = ("multi-slice", "registered-slice", "registered-volume")


@pytest.mark.parametrize("name", PREDICTORS.names())
def test_it_segments_volumes_at_their_own_size(name, segmenter, support_set, query):
    predictor = build_predictor(segmenter.network, name, QUICK.get(name))
    support = predictor.learn(support_set)
    result = predictor.segment(query, support)
    assert result.labels.shape == query.pixels.shape
    assert result.probabilities.shape == (3, *query.pixels.shape)
    np.testing.assert_allclose(result.probabilities.sum(axis=0, dtype=float), 1, atol=5e-3)
    own = np.take_along_axis(result.probabilities, result.labels[None].astype(int), axis=0)[0]
    assert (own == result.probabilities.max(axis=0)).all()  # equal ones in half precision
    assert (result.class_names, result.values) == (("a", "b"), (3, 7))
    assert set(np.unique(result.mask)) <= {0, 3, 7}
    if needs_network(name):
        assert 0 <= result.query_support_similarity <= 1
    else:
        assert result.query_support_similarity is None
    again = predictor.segment(query, predictor.learn(support_set))
    np.testing.assert_array_equal(again.probabilities, result.probabilities)


@pytest.mark.parametrize("name", PREDICTORS.names())
def test_selected_planes_alone_are_segmented(name, segmenter, support_set, query):
    predictor = build_predictor(segmenter.network, name, QUICK.get(name))
    part = ImageStack(query.pixels, "part", volume=True, selected=(1, 4))
    result = predictor.segment(part, predictor.learn(support_set))
    assert result.labels.shape == (2, 64, 64)
    assert result.source.pixels.shape == (2, 64, 64)
    np.testing.assert_array_equal(result.source.pixels, query.pixels[[1, 4]])


@pytest.mark.parametrize("name", VOLUMES)
def test_one_class_has_the_mask_that_a_protocol_of_it_has(name, segmenter, query):
    """Several classes are segmented one against the rest; of one alone nothing changes."""
    image, labels = volume(0)
    predictor = build_predictor(segmenter.network, name)
    whole = SupportSet((ImageStack(image, "0"),), (labels % 2,), ("a",), (1,))
    alone = predictor.segment(query, predictor.learn(whole)).labels
    named = ImageStack(image, "0", key="the same pixels")
    other = predictor.learn(SupportSet((named,), (labels % 2,), ("a",), (1,)))
    np.testing.assert_array_equal(predictor.segment(query, other).labels, alone)


@pytest.mark.parametrize("head", [ADNetSettings(), UniverSegSettings(width=4, depth=1)])
@pytest.mark.parametrize("name", [name for name in PREDICTORS.names() if needs_network(name)])
def test_nothing_is_kept_for_gradients(name, head, support_set, query):
    """Neither of the encoder nor of a head whose logits or supports are trained."""

    def keep(tensor):
        raise AssertionError(f"a tensor {tuple(tensor.shape)} is kept for gradients")

    network = build_network(NetworkSettings(EncoderSettings(weights="none"), head, size=64))
    assert any(each.requires_grad for each in network.head.parameters())
    predictor = build_predictor(network, name)
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda packed: packed):
        predictor.segment(query, predictor.learn(support_set))


def test_registered_volumes_find_each_class(segmenter, support_set, query):
    predictor = build_predictor(segmenter.network, "registered-volume")
    found = predictor.segment(query, predictor.learn(support_set)).mask
    true = volume(2)[1]
    for value in (3, 7):
        both = (found == value) & (true == value)
        assert 2 * both.sum() / ((found == value).sum() + (true == value).sum()) > 0.5


def test_few_marked_slices_are_not_taken_for_a_volume(segmenter):
    """Slices between marked ones, and around one, are not background because nobody marked them."""
    image, labels = volume(0)
    stack = ImageStack(image, "0", volume=True)

    def annotated(planes, **values):
        predictor = build_predictor(segmenter.network, "registered-volume", values)
        some = np.zeros_like(labels)
        some[planes] = labels[planes] > 0
        shots = SupportSet((stack,), (some,), ("x",), (1,))
        return predictor.learn(shots).volumes[0][0].annotated

    assert annotated([1, 2, 3, 4, 5]) == (0, 1, 2, 3, 4, 5)
    for planes in ([1, 3, 5], [2]):
        with pytest.warns(UserWarning, match="0: few slices are marked, or with gaps"):
            assert annotated(planes) == tuple(planes)
    assert annotated([1, 3, 5], annotated="volume") == (0, 1, 2, 3, 4, 5)
    unknown = np.where(np.isin(np.arange(6), [1, 3])[:, None, None], labels > 0, 255)
    shots = SupportSet((stack,), (unknown.astype(np.uint8),), ("x",), (1,))
    predictor = build_predictor(segmenter.network, "registered-volume", {"annotated": "volume"})
    assert predictor.learn(shots).volumes[0][0].annotated == (1, 3)
    with pytest.raises(DataError, match="0 has no annotated slice of x; mark it in one"):
        predictor.learn(SupportSet((stack,), (np.full_like(labels, 255),), ("x",), (1,)))


def test_settings_are_filled_by_their_names(segmenter):
    network = segmenter.network
    made = build_predictor(network, "registered-slice", {"threshold": 0.4, "intermediates": 2})
    assert (made.settings.postprocess.threshold, made.settings.intermediates) == (0.4, 2)
    assert made.settings.local_matching.proximity == 0.02  # has a name of the steps, too
    near = build_predictor(network, "registered-volume", {"proximity": 1.0})
    assert near.settings.postprocess.proximity == 1.0
    assert near.settings.local_matching.proximity == 0.02
    assert near.settings.self_support.atlas_weight == 0
    with pytest.raises(ModelError, match="predictor multi-slice has no setting atlas_weight; exp"):
        build_predictor(network, "multi-slice", {"atlas_weight": 1.0})
    with pytest.raises(FewshotError, match="threshold is 2"):
        build_predictor(network, "slice", {"threshold": 2.0})
    with pytest.raises(FewshotError, match="there is no predictor 'slices'"):
        build_predictor(network, "slices")


def test_a_network_is_built_for_those_alone_that_need_one():
    without = {name for name in PREDICTORS.names() if not needs_network(name)}
    own = {"self-configuring", "best-objects"}
    assert without == {*PREDICTORS.names_in("fewshot.baselines"), *own}
    assert {"copy-mask", "watershed"} <= without
    with pytest.raises(ModelError, match="predictor slice needs a network; load one"):
        build_predictor(None, "slice")


def test_a_predictor_of_a_users_own_file(tmp_path, segmenter, support_set, query):
    own = tmp_path / "own.py"
    own.write_text(
        "from fewshot import SlicePredictor, register_predictor\n\n\n"
        '@register_predictor("inverse")\n'
        "class Inverse(SlicePredictor):\n"
        "    def segment(self, image, support, assignment=None):\n"
        "        result = super().segment(image, support, assignment)\n"
        "        result.labels[:] = 1 - (result.labels > 0)\n"
        "        return result\n"
    )
    plugins.load_plugin(own)
    try:
        made = build_predictor(segmenter.network, "inverse")
        plain = build_predictor(segmenter.network, "slice")
        assert (
            (made.segment(query, made.learn(support_set)).labels > 0)
            != (plain.segment(query, plain.learn(support_set)).labels > 0)
        ).all()
    finally:
        plugins.unload_plugins()


def test_features_belong_to_the_pixels_and_not_to_where_they_lay(segmenter):
    features = SliceFeatures(segmenter.network)
    first = features(ImageStack(volume(0)[0], "a"), 0)
    for number in range(1, 20):  # old arrays are gone, and their addresses are used again
        pixels = volume(number)[0]
        found = features(ImageStack(pixels, "b"), 0)
        fresh = SliceFeatures(segmenter.network)(ImageStack(pixels, "c"), 0)
        np.testing.assert_array_equal(found, fresh)
        assert not np.array_equal(found, first)
    stack = ImageStack(volume(0)[0], "a")
    assert identity_of(stack) == identity_of(ImageStack(stack.pixels, "b"))
    assert identity_of(stack) != identity_of(stack.with_pixels(stack.pixels.copy()))
    assert len(SliceFeatures(segmenter.network, 2)._features) == 0
    few = SliceFeatures(segmenter.network, 2)
    few.volume(stack)
    assert (len(few._features), len(few._images), len(few.seconds)) == (2, 2, 6)


def test_a_selection_keeps_the_intensities_of_the_whole():
    pixels = np.stack([np.full((40, 40), value, np.float32) for value in (0, 10, 100)])
    part = only_selected(ImageStack(pixels, "a", volume=True, selected=(1,)))
    assert part.limits == ((0.0, 100.0),)
    whole = ImageStack(pixels, "a", volume=True)
    assert only_selected(whole) is whole
    every = only_selected(ImageStack(pixels, "a", volume=True, selected=(0, 1, 2)))
    assert (every.limits, every.selected) == (None, None)  # a window of it has its own
    assert every.pixels is pixels


def test_masks_of_volumes_lie_where_their_images_lie(tmp_path, segmenter, support_set):
    affine = np.diag([2.0, 2.0, 5.0, 1.0])
    path = tmp_path / "query.nii.gz"
    nib.save(nib.Nifti1Image(volume(2)[0].transpose(1, 2, 0), affine), path)
    predictor = build_predictor(segmenter.network, "registered-volume")
    result = predictor.segment(image_planes(path), predictor.learn(support_set))
    saved = nib.load(result.save(tmp_path / "mask.nii.gz"))
    np.testing.assert_array_equal(saved.affine, affine)
    assert saved.shape == (64, 64, 6)


@pytest.mark.parametrize("name", ["multi-slice", "registered-slice", "registered-volume", "slice"])
def test_a_network_that_adapts_itself_is_refused(name):
    network = build_network(
        NetworkSettings(EncoderSettings(weights="none"), GradientSettings(), size=64)
    )
    with pytest.raises(ModelError, match="adapts the network to every support set; choose the"):
        build_predictor(network, name)


def test_an_ensemble_learns_each_annotated_slice_by_itself(segmenter, support_set):
    annotated = annotated_slices(support_set)
    count = len(annotated.all)
    assert count > 2
    for ensemble, sizes in ((None, [count]), ("probabilities", [1] * count)):
        predictor = build_predictor(segmenter.network, "slice", {"ensemble": ensemble})
        assert [len(group) for group in predictor._learned_groups(annotated)] == sizes


def test_runs_of_planes_end_where_one_does_not_follow():
    assert list(_runs([3, 4, 5, 8, 9, 2])) == [[0, 1, 2], [3, 4], [5]]
    assert list(_runs([])) == []


@pytest.mark.parametrize(
    ("marked", "kind"),
    [
        (range(2, 9), "volume"),
        ((2, 3, 4, 6, 7, 8), "slices"),
        (range(4), "volume"),
        (range(3), "slices"),
        ((2, 3), "slices"),
        ((), "slices"),
    ],
)
def test_what_is_annotated_is_told_by_gaps_and_number(marked, kind):
    labels = np.zeros((10, 4, 4), np.uint8)
    labels[list(marked), 1, 1] = 1
    assert _kind_of(labels) == kind
