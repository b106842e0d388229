import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis.extra.numpy import array_shapes, arrays

from episodes import bundled
from episodes.catalog.catalog import Catalog, Sample
from episodes.catalog.class_areas import compute_class_areas
from episodes.catalog.letterbox import Letterbox
from episodes.catalog.loader import Loader
from episodes.io.pixels import MaskRef, PixelRef
from episodes.protocols.adnet import AdnetSettings, adnet
from episodes.protocols.aggregate import ConfusionCounts, score_protocol
from episodes.protocols.alpnet import AlpnetSettings, alpnet
from episodes.protocols.base import shows
from episodes.protocols.full_volume import FullVolumeSettings, full_volume
from episodes.readers import read_catalog
from episodes.sampling.episode import Plan, to_channels
from fewshot.evaluation import protocol_results
from fewshot.evaluation.confusion_counts import (
    CopyMask,
    GroundTruth,
    count_pixels,
    count_protocol,
    pool_by_subject,
)
from fewshot.evaluation.protocol_predictor import ProtocolPredictor
from fewshot.evaluation.protocol_results import ProtocolResult
from fewshot.inference.predictors.slice import SlicePredictor


@pytest.fixture
def catalog(nifti_set):
    return compute_class_areas(read_catalog(nifti_set))


@given(
    arrays(bool, array_shapes(min_dims=2, max_dims=2, max_side=6)).flatmap(
        lambda predicted: arrays(
            np.uint8, predicted.shape, elements={"min_value": 0, "max_value": 2}
        ).map(lambda truth: (predicted, np.where(truth == 2, 255, truth).astype(np.uint8)))
    )
)
def test_pixels_are_counted_as_one_by_one(pair):
    counts = dict.fromkeys(("found", "missed", "wrong", "rest"), 0)
    for predicted, truth in zip(*(a.ravel().tolist() for a in pair), strict=True):
        if truth == 255:
            continue
        name = (("rest", "missed"), ("wrong", "found"))[predicted][truth]
        counts[name] += 1
    assert count_pixels(*pair).tolist() == list(counts.values())


def test_truth_is_read_at_the_size_of_the_file_with_overlaps_unknown(tmp_path, make_png):
    first = np.zeros((40, 56), np.uint8)
    first[:10] = 1
    second = np.zeros((40, 56), np.uint8)
    second[8:12] = 1
    masks = tuple(
        MaskRef(PixelRef(make_png(tmp_path / f"{name}.png", pixels)), name)
        for name, pixels in (("a", first), ("b", second))
    )
    image = make_png(tmp_path / "image.png", first)
    sample = Sample("x", PixelRef(image), masks, "x", (40, 56))
    truth = GroundTruth(
        compute_class_areas(Catalog((sample, replace(sample, key="y", masks=())), ("a", "b")))
    )
    assert truth.mask("x", "a")[:, 0].tolist() == [1] * 8 + [255] * 2 + [0] * 30
    assert truth.mask("x", "b")[:, 0].tolist() == [0] * 8 + [255] * 2 + [1] * 2 + [0] * 28
    assert (truth.mask("y", "a") == 255).all()


def test_copy_mask_under_alpnet_counts_what_a_slow_loop_counts(catalog):
    protocol = alpnet(catalog, AlpnetSettings(folds=3, support="all"))
    truth = GroundTruth(catalog)
    found = pool_by_subject(count_protocol(protocol, CopyMask(truth), truth))
    expected: dict = {}
    for case in protocol.cases:
        name = case.plan.classes[0]
        pasted = truth.mask(case.plan.support[0][0], name) == 1
        for key, subject in zip(case.plan.query, case.plan.query_subjects, strict=True):
            real = truth.mask(key, name) == 1
            row = expected.setdefault((case.run, subject, name), [0, 0, 0, 0])
            for place, pixels in enumerate(
                (pasted & real, ~pasted & real, pasted & ~real, ~pasted & ~real)
            ):
                row[place] += int(pixels.sum())
    assert {(c.run, c.subject, c.class_name): [c.tp, c.fn, c.fp, c.tn] for c in found} == expected
    # Liver is the same block in every volume, so its copy is perfect.
    assert score_protocol(found, "subject").by_class["liver"] == 1.0


def test_several_shots_vote(catalog):
    truth = GroundTruth(catalog)
    own = [s for s in catalog.samples if s.subject == catalog.subjects[0]]
    first, second = [s.key for s in own if shows(s, "liver")][:2]
    empty = next(s.key for s in own if not shows(s, "liver"))
    plan = Plan(0, ("liver",), ((first, second, empty),), (first,), ("s",))
    (voted,) = CopyMask(truth)(plan)
    np.testing.assert_array_equal(voted, truth.mask(first, "liver") == 1)  # two of three
    (tied,) = CopyMask(truth)(replace(plan, support=((first, empty),)))
    assert not tied.any()


def test_a_model_segments_at_the_size_of_the_file(catalog, segmenter):
    """The one-at-a-time path of the command agrees with the batches of training."""
    truth = GroundTruth(catalog)
    protocol = adnet(catalog, AdnetSettings(folds=3, evaluation=2, slices=2))
    method = ProtocolPredictor(truth, SlicePredictor(segmenter.network))
    loader = Loader(segmenter.network.settings.size)
    plan = protocol.cases[0].plan
    masks = list(method(plan))
    assert {mask.shape for mask in masks} == {truth.sample(plan.query[0]).size}
    samples = [truth.sample(key) for key in plan.support[0]]
    images = torch.stack([to_channels(loader.image(s), 3) for s in samples])
    shots = torch.stack([loader.labels(s, plan.classes) for s in samples])
    query = truth.sample(plan.query[2])
    pixels = to_channels(loader.image(query), 3)
    with torch.inference_mode():
        logits = segmenter.network(images[None, None], shots[None, None], pixels[None, None])
    frame = Letterbox(*query.size, segmenter.network.settings.size)
    expected = (frame.restore(logits[0, 0]).argmax(dim=0) == 1).numpy()
    assert expected.any()
    assert (expected == masks[2]).mean() > 0.97  # features are encoded in other batches
    assert len(count_protocol(protocol, method, truth)) == len(protocol.cases)


def test_scores_on_a_square_count_its_pixels(catalog):
    protocol = alpnet(catalog, AlpnetSettings(folds=3, classes=("liver",)))
    truth = GroundTruth(catalog)
    square = replace(protocol, score_size=50)
    counts = count_protocol(square, CopyMask(truth), truth)
    for case, count in zip(square.cases, counts, strict=True):
        total = count.tp + count.fn + count.fp + count.tn
        assert total == 2500 * len(case.plan.query)


def test_pooling_keeps_folds_apart():
    rows = [ConfusionCounts("0", "p", "a", 1, 2, 3, 4), ConfusionCounts("0", "p", "a", 1, 1, 1, 1)]
    other = ConfusionCounts("0", "p", "a", 5, 5, 5, 5, fold=1)
    assert pool_by_subject([*rows, other]) == [ConfusionCounts("0", "p", "a", 2, 3, 4, 5), other]


def test_the_result_file_has_the_agreed_form(catalog, tmp_path):
    truth = GroundTruth(catalog)
    parts = tuple(alpnet(catalog, AlpnetSettings(fold, 3, support="all")) for fold in range(3))
    counts = pool_by_subject(
        c for part in parts for c in count_protocol(part, CopyMask(truth), truth)
    )
    one = ProtocolResult("alpnet", "copy-mask", parts, tuple(counts))
    about = {"data": "pairs", "seconds": 1.0}
    protocol_results.write(tmp_path / "r.json", "toy", [one], about, ["fewshot protocol x"])
    content = json.loads((tmp_path / "r.json").read_text())
    head = content["headline"][0]
    assert head["name"] == "toy"
    assert head["value"] == head["baseline"]
    assert head["ci95"][0] <= head["value"] <= head["ci95"][1]
    assert {"machine", "date", "commands"} <= set(content)
    (row,) = content["results"]
    assert row["runs"] == 2
    assert len(row["cases"]) == 2 * 3 * 2  # runs, query scans, classes
    assert row["columns"].count(",") == row["cases"][0].count(",")
    text = (tmp_path / "r.md").read_text()
    assert "| alpnet | copy-mask |" in text
    assert "fewshot protocol x" in text


def test_cases_name_samples_of_the_test_catalog(catalog):
    protocol = alpnet(catalog, AlpnetSettings(folds=3))
    keys = {sample.key for sample in protocol.test.samples}
    assert all(set(case.plan.query) | set(case.plan.support[0]) <= keys for case in protocol.cases)


def test_the_published_abdominal_numbers(real_data):
    """What the field reports of CHAOS T2: excluded slices, and what no model reaches."""
    organs = {1: "liver", 2: "right_kidney", 3: "left_kidney", 4: "spleen"}
    catalog = compute_class_areas(read_catalog(real_data("chaos_t2"), label_map=organs))
    shown = [[shows(s, name) for name in catalog.classes] for s in catalog.samples]
    assert len(shown) == 718
    assert (sum(map(any, shown)), sum(map(all, shown))) == (558, 88)
    truth = GroundTruth(catalog)
    copied = CopyMask(truth)

    def runs(make):
        parts = [make(fold) for fold in range(5)]
        counts = pool_by_subject(c for part in parts for c in count_protocol(part, copied, truth))
        return score_protocol(counts, "subject")

    chunks = runs(lambda fold: alpnet(catalog, AlpnetSettings(fold, support="all")))
    assert len(chunks.by_run) == 16
    assert 0.43 < chunks.value < 0.49
    assert 0.40 < min(chunks.by_run.values()) < max(chunks.by_run.values()) < 0.50
    whole = runs(
        lambda fold: full_volume(catalog, FullVolumeSettings(fold, support="all", choose="thirds"))
    )
    assert 0.28 < whole.value < 0.31


def test_the_guide_runs_on_bundled_images():
    guide = Path(__file__).parents[3].joinpath("docs/protocols.md").read_text(encoding="utf-8")
    code = guide.split("```python\n")[1].split("```")[0]
    named = {"catalog": compute_class_areas(read_catalog(bundled.path("emoji")))}
    exec(code.replace('"pfenet", fold=0, shot=5', '"hsnet", fold=0, shot=1, episodes=40'), named)
    found = named["found"]
    assert 0 < found.value < 1
    assert found.value < found.foreground_background < 1
    assert named["protocol"].score_size == 400
