"""Match, then segment: the rules on tiny volumes, and as a method of the whole-volume protocol."""

from dataclasses import replace

import nibabel as nib
import numpy as np
import pytest
import torch

from episodes.catalog.class_areas import compute_class_areas
from episodes.errors import DataError, ModelError
from episodes.protocols.aggregate import score_protocol
from episodes.protocols.full_volume import FullVolumeSettings, full_volume
from episodes.protocols.whole_volumes import whole_volumes
from episodes.readers import read_catalog
from fewshot.evaluation.confusion_counts import GroundTruth, count_protocol, pool_by_subject
from fewshot.evaluation.protocol_predictor import ProtocolPredictor
from fewshot.evaluation.retrieved_support_predictor import (
    Pooled,
    RetrievedSupportPredictor,
    aligned,
    appearance,
    at_random,
    learned_position,
    oracle_overlap,
    oracle_position,
    proportional_place,
)
from fewshot.inference.predictors.registered_volume import RegisteredVolumePredictor
from fewshot.inference.predictors.slice import SlicePredictor
from fewshot.inference.volumes.registered_volumes import coverage_of
from fewshot.inference.volumes.segment_volume import segment_volume
from fewshot.inference.volumes.slice_assignment import assign_supports
from fewshot.inference.volumes.slice_position import fit_best_positions
from fewshot.models.checkpoint import save_network
from fewshot.models.embedding_network import save_embedding
from fewshot.siamese.retrieval.embed import embed_image, load_embedder

DEPTHS = (7, 9, 8)


@pytest.fixture(scope="module")
def catalog(tmp_path_factory):
    """Three volumes; the organ is a disc whose size and the body's brightness say the height."""
    root = tmp_path_factory.mktemp("bodies")
    rows, columns = np.mgrid[:48, :48]
    for number, depth in enumerate(DEPTHS):
        generator = np.random.default_rng(number)
        image, labels = np.zeros((48, 48, depth)), np.zeros((48, 48, depth), np.uint8)
        for plane in range(depth):
            height = (plane + 1 + number / 3) / (depth + 1)
            body = (rows - 24) ** 2 + (columns - 24) ** 2 < (14 + 8 * height) ** 2
            organ = (rows - 20) ** 2 + (columns - 20) ** 2 < (9 * np.sin(np.pi * height)) ** 2
            organ &= 0.2 < height < 0.8
            image[..., plane] = 40 * body + 60 * organ + 80 * height * (columns > 30) * body
            image[..., plane] += generator.normal(0, 1, (48, 48))
            labels[..., plane] = organ
        affine = np.diag([1.0, 1.0, 5.0, 1.0])
        nib.save(nib.Nifti1Image(image.astype(np.int16), affine), root / f"image_{number}.nii.gz")
        nib.save(nib.Nifti1Image(labels, affine), root / f"label_{number}.nii.gz")
    (root / "classes.json").write_text('{"1": "organ"}', encoding="utf-8")
    return compute_class_areas(read_catalog(root))


@pytest.fixture(scope="module")
def protocol(catalog):
    chosen = FullVolumeSettings(fold=0, folds=3, annotated="volume")
    return whole_volumes(full_volume(catalog, chosen), catalog)


@pytest.fixture(scope="module")
def truth(catalog):
    return GroundTruth(catalog)


def test_cases_name_whole_volumes_in_order(protocol, catalog):
    (case,) = protocol.cases
    subjects = sorted(catalog.subjects)
    place = {sample.key: sample.image.plane for sample in catalog.samples}
    assert [place[key] for key in case.plan.query] == list(range(7))
    assert [place[key] for key in case.plan.support[0]] == list(range(9))
    assert case.plan.query_subjects == (subjects[0],) * 7
    assert {sample.key for sample in protocol.test.samples} == {
        *case.plan.query,
        *case.plan.support[0],
    }


def test_the_rules_cost_what_they_say(protocol, truth, segmenter):
    plan = protocol.cases[0].plan
    pool = Pooled(truth, segmenter.network)
    volumes = [pool(plan.support[0]), pool(plan.query)]
    rules = {
        "random": at_random(0),
        "place": proportional_place,
        "look": appearance(pool, 0.5),
        "learned": learned_position(pool, fit_best_positions(volumes)),
        "aligned": aligned(pool),
        "overlap": oracle_overlap(truth),
        "position": oracle_position(truth),
    }
    costs = {name: rule(plan) for name, rule in rules.items()}
    for table in costs.values():
        assert table.shape == (7, 9)
        assert np.isfinite(table).all()
    expected = np.abs(np.subtract.outer((np.arange(7) + 0.5) / 7, (np.arange(9) + 0.5) / 9))
    np.testing.assert_allclose(costs["place"], expected)
    np.testing.assert_array_equal(at_random(0)(plan), costs["random"])
    assert (at_random(1)(plan) != costs["random"]).all()
    without = appearance(pool, 0.0)(plan)
    np.testing.assert_allclose(costs["look"] - without, 0.5 * expected, atol=1e-9)
    # Both are what a slice is: the first and last ones of the organ fit each other.
    shown = [
        [(truth.mask(k, "organ") == 1).any() for k in keys]
        for keys in (plan.query, plan.support[0])
    ]
    first, last = (np.flatnonzero(each)[[0, -1]] for each in shown)
    middle = costs["position"][first[0] : first[1] + 1]
    assert ((middle.argmin(axis=1) >= last[0]) & (middle.argmin(axis=1) <= last[1])).all()
    empty = np.ix_(~np.array(shown[0]), ~np.array(shown[1]))
    mixed = np.ix_(~np.array(shown[0]), np.array(shown[1]))
    assert (costs["overlap"][empty] == 0).all()
    assert (costs["overlap"][mixed] == 1).all()


def test_it_is_a_method_of_the_protocol(protocol, truth, segmenter):
    scores = {}
    for name, rule, top, ordered in (
        ("place", proportional_place, 1, False),
        ("look", appearance(Pooled(truth, segmenter.network), 0.5), 3, True),
        ("overlap", oracle_overlap(truth), 1, False),
        ("away", lambda plan: -oracle_overlap(truth)(plan), 1, False),
    ):
        method = RetrievedSupportPredictor(truth, segmenter.network, rule, top=top, ordered=ordered)
        counts = pool_by_subject(count_protocol(protocol, method, truth))
        total = sum(c.tp + c.fn + c.fp + c.tn for c in counts)
        assert total == 7 * 48 * 48
        scores[name] = score_protocol(counts, "subject").value
    assert all(0 <= value <= 1 for value in scores.values())
    assert scores["overlap"] > scores["away"]


def test_one_support_equals_segmenting_with_it_alone(protocol, truth, segmenter):
    plan = protocol.cases[0].plan
    costs = proportional_place(plan)
    chosen = assign_supports(costs)[:, 0]
    found = list(RetrievedSupportPredictor(truth, segmenter.network, proportional_place)(plan))
    for place in (2, 4):
        alone = replace(
            plan, support=((plan.support[0][chosen[place]],),), query=(plan.query[place],)
        )
        (expected,) = ProtocolPredictor(truth, SlicePredictor(segmenter.network))(alone)
        np.testing.assert_array_equal(found[place], expected)


def test_a_segmenter_an_embedding_network_and_nothing_describe_images(tmp_path, own_segmenter):
    image = np.random.default_rng(0).integers(0, 255, (40, 56), np.uint8)
    save_network(own_segmenter.network, tmp_path / "segmenter")
    network = load_embedder(tmp_path / "segmenter")
    vector = embed_image(network, image)
    assert vector.shape == (own_segmenter.network.encoder.features,)
    assert np.linalg.norm(vector) == pytest.approx(1, abs=1e-5)
    save_embedding(network, tmp_path / "network")
    again = load_embedder(tmp_path / "network")
    assert again.fingerprint() == network.fingerprint()
    np.testing.assert_array_equal(embed_image(again, image), vector)
    with pytest.raises(ModelError, match="holds neither"):
        load_embedder(tmp_path)
    with pytest.raises(DataError, match="5 planes; expected a picture of one"):
        embed_image(network, np.zeros((5, 40, 56), np.uint8))


def test_whole_volumes_are_laid_over_each_other(catalog, protocol, truth, segmenter):
    """Each slice is answered once, at its own size; all slices and three of them are supports."""
    for annotated in ("volume", "slices"):
        chosen = FullVolumeSettings(fold=0, folds=3, annotated=annotated)
        method = ProtocolPredictor(truth, RegisteredVolumePredictor(segmenter.network))
        registered = full_volume(catalog, chosen)
        (case,) = method.regroup_cases(registered).cases
        assert len(case.plan.support[0]) == (9 if annotated == "volume" else 3)
        counts = pool_by_subject(count_protocol(registered, method, truth))
        assert sum(c.tp + c.fn + c.fp + c.tn for c in counts) == 7 * 48 * 48
        # The organ's own place is known: copying it would be 0, were it elsewhere.
        assert score_protocol(counts, "subject").value > 0.4
        assert method.milliseconds() > 0


def test_masks_of_unannotated_slices_are_not_read(catalog, truth, segmenter, monkeypatch):
    chosen = FullVolumeSettings(fold=0, folds=3, annotated="slices")
    method = ProtocolPredictor(truth, RegisteredVolumePredictor(segmenter.network))
    (case,) = method.regroup_cases(full_volume(catalog, chosen)).cases
    read_masks, load = [], truth.support_mask
    monkeypatch.setattr(
        truth, "support_mask", lambda key, name: read_masks.append(key) or load(key, name)
    )
    monkeypatch.setattr(truth, "labels", lambda key: pytest.fail(f"read the labels of {key}"))
    assert len(list(method(case.plan))) == 7
    assert read_masks == list(case.plan.support[0])


def test_a_volume_segments_itself(protocol, truth, segmenter):
    plan = protocol.cases[0].plan
    method = ProtocolPredictor(truth, RegisteredVolumePredictor(segmenter.network))
    itself = replace(plan, query=plan.support[0], query_subjects=("x",) * 9)
    found = np.stack(list(method(itself)))
    real = np.stack([truth.mask(key, "organ") == 1 for key in plan.support[0]])
    assert 2 * (found & real).sum() / (found.sum() + real.sum()) > 0.65


def test_a_class_that_is_nowhere_is_found_nowhere():
    features = torch.rand(3, 5, 4, 4, generator=torch.Generator().manual_seed(0))
    correspondences = torch.stack(
        torch.meshgrid(*(torch.arange(float(n)) for n in (3, 4, 4)), indexing="ij"), dim=1
    )
    logits = segment_volume(features, features, torch.zeros(3, 4, 4), correspondences)
    assert logits.shape == (3, 2, 4, 4)
    assert (logits.argmax(dim=1) == 0).all()


def test_unknown_pixels_are_no_part_of_a_class():
    masks = torch.tensor([[[1, 1, 255, 255], [1, 1, 255, 255], [0, 0, 1, 0], [0, 0, 0, 0]]])
    coverage = coverage_of(masks.to(torch.uint8), 4, 4)
    torch.testing.assert_close(coverage, (masks == 1).float())
