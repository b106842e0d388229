"""The policy of fewshot.metrics, asked of every score in one place."""

import math

import numpy as np
import pytest

from fewshot.metrics import agreement, calibration, instances, overlap, panoptic, ranking, surface
from fewshot.metrics.boundary import boundary_iou
from fewshot.metrics.coco import coco_map
from fewshot.metrics.overlap import confusion_matrix
from fewshot.metrics.skeleton import cl_dice


def of_class(score):
    return lambda labels, reference: score(confusion_matrix(labels, reference, 2))[1]


def of_matrix(score):
    return lambda labels, reference: score(confusion_matrix(labels, reference, 2))


def of_surface(score):
    return lambda labels, reference: score(surface.surface_distances(labels, reference))


def of_objects(score):
    def apply(labels, reference):
        table = instances.overlap_table(labels, reference * (reference != 255), reference == 255)
        return score(table)

    return apply


def of_matches(score):
    return of_objects(lambda table: score(instances.match_counts(table))[0])


def of_panoptic(labels, reference):
    counted = reference != 255
    counts = panoptic.panoptic_counts(
        labels[counted] + 1, reference[counted] + 1, {1: 0, 2: 1}, {1: 0, 2: 1}, 2
    )
    return panoptic.panoptic_quality(counts).pq[1]


def of_ranked_objects(labels, reference):
    true = reference * (reference != 255)
    return coco_map([labels], [{1: 1.0}], [true], ignored=[reference == 255]).ap


OVERLAPS = {
    "dice": of_class(overlap.dice),
    "iou": of_class(overlap.iou),
    "precision": of_class(overlap.precision),
    "recall": of_class(overlap.recall),
    "volumetric_similarity": of_class(overlap.volumetric_similarity),
    "boundary_iou": boundary_iou,
    "nsd": of_surface(lambda distances: surface.nsd(distances, 1)),
    "cl_dice": lambda labels, reference: cl_dice(labels, reference).dice,
    "instance precision": of_matches(instances.precision),
    "instance recall": of_matches(instances.recall),
    "instance f1": of_matches(instances.f1),
    "instance ap": of_matches(instances.average_precision),
    "instance pq": of_matches(instances.panoptic_quality),
    "dsb_score": of_objects(instances.dsb_score),
    "aggregated_jaccard": of_objects(instances.aggregated_jaccard),
    "panoptic_quality": of_panoptic,
    "coco_map": of_ranked_objects,
}
DISTANCES = {
    "hausdorff": of_surface(surface.hausdorff),
    "hd_directed": of_surface(surface.hd_directed),
    "hd_pooled": of_surface(surface.hd_pooled),
    "assd": of_surface(surface.assd),
    "masd": of_surface(surface.masd),
}
AGREEMENTS = {
    "kappa": of_matrix(agreement.cohen_kappa),
    "mcc": of_matrix(agreement.matthews_correlation),
    "auc": lambda labels, reference: ranking.roc_auc(labels.astype(float), reference),
}
PROPORTIONS = {
    "pixel accuracy": of_matrix(agreement.pixel_accuracy),
    "balanced accuracy": of_matrix(agreement.balanced_accuracy),
    "fb_iou": of_matrix(agreement.fb_iou),
    "average_precision": lambda labels, reference: ranking.average_precision(
        labels.astype(float), reference
    ),
    "brier": lambda labels, reference: calibration.brier_score(
        calibration.calibration_counts(np.stack([1.0 - labels, labels]), reference)
    ),
}

EMPTY = np.zeros((6, 7), int)
BODY = EMPTY.copy()
BODY[1:5, 2:5] = 1
NOTHING_COUNTED = np.full_like(EMPTY, 255)


@pytest.mark.parametrize("name", OVERLAPS)
def test_overlaps(name):
    score = OVERLAPS[name]
    assert math.isnan(score(EMPTY, EMPTY))
    assert score(BODY, EMPTY) == 0
    assert score(EMPTY, BODY) == 0
    assert score(BODY, BODY) == pytest.approx(1)


@pytest.mark.parametrize("name", DISTANCES)
def test_distances(name):
    score = DISTANCES[name]
    assert math.isnan(score(EMPTY, EMPTY))
    assert score(BODY, EMPTY) == math.inf
    assert score(EMPTY, BODY) == math.inf
    assert score(BODY, BODY) == 0


@pytest.mark.parametrize("name", AGREEMENTS)
def test_agreements(name):
    score = AGREEMENTS[name]
    assert math.isnan(score(EMPTY, EMPTY))
    assert score(BODY, BODY) == 1
    assert score(EMPTY, BODY) == (0.5 if name == "auc" else 0)  # no better than chance


@pytest.mark.parametrize("name", [*OVERLAPS, *DISTANCES, *AGREEMENTS, *PROPORTIONS])
def test_nothing_counted_is_undefined(name):
    score = (OVERLAPS | DISTANCES | AGREEMENTS | PROPORTIONS)[name]
    assert math.isnan(score(BODY, NOTHING_COUNTED))
    assert math.isnan(score(EMPTY, NOTHING_COUNTED))


@pytest.mark.parametrize("name", [*OVERLAPS, *DISTANCES, *AGREEMENTS, *PROPORTIONS])
def test_what_was_predicted_on_ignored_pixels_does_not_matter(name):
    score = (OVERLAPS | DISTANCES | AGREEMENTS | PROPORTIONS)[name]
    reference = np.pad(BODY, ((0, 0), (0, 4)))
    reference[:, 8:] = 255  # apart from the body by background
    labels = np.roll(np.pad(BODY, ((0, 0), (0, 4))), 1, axis=0)
    other = labels.copy()
    other[2:4, 9:] = 1
    assert score(other, reference) == score(labels, reference)
    assert not math.isnan(score(labels, reference))
