"""Annotated slices of a volume, used together."""

import nibabel as nib
import numpy as np
import pytest
import torch

from episodes.catalog.class_areas import compute_class_areas
from episodes.catalog.letterbox import Letterbox
from episodes.errors import DataError
from episodes.protocols.alpnet import AlpnetSettings, alpnet
from episodes.readers import read_catalog
from fewshot.evaluation.confusion_counts import (
    CopyMask,
    GroundTruth,
    count_protocol,
    pool_by_subject,
)
from fewshot.evaluation.protocol_predictor import ProtocolPredictor
from fewshot.inference.inputs import ImageStack
from fewshot.inference.predictors.build import build_predictor
from fewshot.inference.predictors.feature_predictor import annotated_slices
from fewshot.inference.predictors.multi_slice import equal_parts
from fewshot.inference.segmenter import Segmenter
from fewshot.inference.support_set import SupportSet

SPANS = {"query_spans_class": True}


def predict(truth, network, name, **values):
    """A predictor as a method of the protocols."""
    return ProtocolPredictor(truth, build_predictor(network, name, values))


def test_shared_slices_answer_the_cases_of_a_volume_together(nifti_set, segmenter):
    catalog = compute_class_areas(read_catalog(nifti_set))
    truth = GroundTruth(catalog)
    protocol = alpnet(catalog, AlpnetSettings(folds=3))
    method = predict(truth, segmenter.network, "multi-slice")
    joined = method.regroup_cases(protocol)
    assert len(joined.cases) < len(protocol.cases)
    assert sorted(key for case in joined.cases for key in case.plan.query) == sorted(
        key for case in protocol.cases for key in case.plan.query
    )
    plan = joined.cases[0].plan
    assert len(plan.support[0]) == 3
    parts = [
        case.plan
        for case in protocol.cases
        if (case.run, case.plan.classes) == (joined.cases[0].run, plan.classes)
        and case.plan.query_subjects[0] == plan.query_subjects[0]
    ]
    answers = dict(zip(plan.query, method(plan), strict=True))
    stack = method.stacks.scan(plan.query)
    features_of = {
        key: method.predictor.features(stack, plane)
        for key, plane in zip(plan.query, stack.chosen, strict=True)
    }
    learned = method._learned(plan.support[0], plan.classes[0])
    for part in parts:  # the mean of the log-odds of one's own support and of all together
        alone, together = (
            segmenter.network.head.logits(learned.supports[shots], features)[0]
            for features in [torch.stack([features_of[key] for key in part.query])[None]]
            for shots in ((plan.support[0].index(*part.support[0]),), learned.all)
        )
        odds = [logits.log_softmax(dim=1).diff(dim=1)[:, 0] for logits in (alone, together)]
        found = np.stack([answers[key] for key in part.query])
        for mask, mean in zip(found, sum(odds) / 2, strict=True):
            full = Letterbox(*mask.shape, segmenter.network.settings.size).restore(mean[None])[0]
            sure = full.abs() > 1e-3
            np.testing.assert_array_equal(mask[sure], (full > 0).numpy()[sure])
    scores = pool_by_subject(count_protocol(protocol, method, truth))
    cells = {(count.run, count.subject, count.class_name) for count in scores}
    copied = pool_by_subject(count_protocol(protocol, CopyMask(truth), truth))
    assert cells == {(count.run, count.subject, count.class_name) for count in copied}
    assert [c.tp + c.fn for c in scores] == [c.tp + c.fn for c in copied]


@pytest.fixture
def one_dark_organ(tmp_path):
    """Three bodies of one build; in the first the organ is dark, and something else is bright."""
    rows, columns = np.mgrid[:96, :96]

    def box(row: int, column: int, height: int, width: int) -> np.ndarray:
        return (abs(rows - row) < height) & (abs(columns - column) < width)

    body = (rows - 48) ** 2 + (columns - 48) ** 2 < 42**2
    organ, spine, liver, gut = (
        *(box(50, 30, 10, 9), box(76, 48, 6, 6)),
        *(box(46, 68, 20, 12), box(24, 44, 9, 9)),
    )
    for number in range(3):
        noise = np.random.default_rng(number).normal(0, 2, (96, 96, 6))
        image = 80.0 * body + 160 * spine - 40 * liver
        image += (-60 * organ + 90 * gut) if number == 0 else (90 * organ - 60 * gut)
        labels = np.repeat(organ[..., None], 6, axis=2).astype(np.uint8)
        for kind, array in (("image", (image[..., None] + noise)), ("label", labels)):
            path = tmp_path / f"{kind}_{number}.nii.gz"
            array = array.astype(np.uint8 if kind == "label" else np.int16)
            nib.save(nib.Nifti1Image(array, np.diag([1.0, 1.0, 5.0, 1.0])), path)
    (tmp_path / "classes.json").write_text('{"1": "organ"}', encoding="utf-8")
    return compute_class_areas(read_catalog(tmp_path))


def test_placed_slices_find_an_organ_that_looks_different(one_dark_organ):
    truth, segmenter = GroundTruth(one_dark_organ), Segmenter()
    protocol = alpnet(one_dark_organ, AlpnetSettings(folds=3))

    def dice(method) -> float:
        (count,) = pool_by_subject(count_protocol(protocol, method, truth))
        return 2 * count.tp / (2 * count.tp + count.fn + count.fp)

    assert dice(predict(truth, segmenter.network, "multi-slice")) < 0.3
    assert dice(predict(truth, segmenter.network, "registered-slice", **SPANS)) > 0.6


@pytest.mark.parametrize("intermediates", [0, 1])
def test_placed_slices_read_annotated_masks_alone(nifti_set, segmenter, monkeypatch, intermediates):
    catalog = compute_class_areas(read_catalog(nifti_set))
    truth = GroundTruth(catalog)
    method = predict(truth, segmenter.network, "registered-slice", intermediates=intermediates)
    case = method.regroup_cases(alpnet(catalog, AlpnetSettings(folds=3, support="all"))).cases[0]
    scan = method.stacks.scan(case.plan.support[0])
    assert len(method.predictor.atlas.intermediates(scan, scan)) == intermediates
    read_keys, load = set(), truth.support_mask
    monkeypatch.setattr(
        truth, "support_mask", lambda key, name: read_keys.add(key) or load(key, name)
    )
    monkeypatch.setattr(truth, "labels", lambda key: pytest.fail(f"read the labels of {key}"))
    masks = list(method(case.plan))
    assert len(masks) == len(case.plan.query)
    assert {truth.sample(key).size for key in case.plan.query} == {mask.shape for mask in masks}
    assert read_keys == set(case.plan.support[0])
    assert method.milliseconds() > 0


def test_without_self_support_the_query_is_segmented_as_by_multi_slice(nifti_set, segmenter):
    catalog = compute_class_areas(read_catalog(nifti_set))
    truth = GroundTruth(catalog)
    protocol = alpnet(catalog, AlpnetSettings(folds=3))
    silent = {"self_support_weight": 0.0, "min_support_confidence": 0.0, "max_logit": 1e9}
    methods = (
        predict(truth, segmenter.network, "multi-slice"),
        predict(truth, segmenter.network, "registered-slice", **silent),
    )
    multi, registered = (
        pool_by_subject(count_protocol(protocol, method, truth)) for method in methods
    )
    assert multi == registered
    other = predict(truth, segmenter.network, "registered-slice", **silent, intermediates=1)
    other.share_cache(methods[1])
    assert pool_by_subject(count_protocol(protocol, other, truth)) == registered
    assert len(other.predictor.features.seconds) == 6  # of the third scan alone
    assert other.predictor.registered._pairs is methods[1].predictor.registered._pairs


def test_parts_of_a_volume_are_equal(nifti_set):
    volume = ImageStack(np.zeros((6, 4, 4), np.uint8), "a", volume=True)
    other = ImageStack(np.zeros((4, 4, 4), np.uint8), "b", volume=True)
    maps = (np.zeros((6, 4, 4), np.uint8), np.ones((4, 4, 4), np.uint8))
    for plane in (1, 3, 4):
        maps[0][plane, 0, 0] = 1
    one = annotated_slices(SupportSet((volume,), maps[:1], ("x",), (1,)))
    assert one.planes == ((0, 1), (0, 3), (0, 4))
    assert equal_parts(one, 7) == [[(n,)] for n in (0, 0, 0, 1, 1, 2, 2)]
    two = annotated_slices(SupportSet((volume, other), maps, ("x",), (1,)))
    assert equal_parts(two, 3) == [[(0, 3)], [(1, 4)], [(2, 5)]]
    with pytest.raises(DataError, match="no plane of a is annotated"):
        annotated_slices(SupportSet((volume,), (0 * maps[0],), ("x",), (1,)))
