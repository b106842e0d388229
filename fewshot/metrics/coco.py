"""Score-ranked mean average precision of objects, computed by faster-coco-eval."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fewshot.metrics.arrays import as_array, as_label_pair

COCO_THRESHOLDS = tuple(step / 20 for step in range(10, 20))  # 0.50, 0.55 .. 0.95, without drift


class CocoAP(NamedTuple):
    """Average precision over ranked objects.

    Attributes:
        ap: mean over the thresholds.
        by_threshold: average precision at each IoU threshold.
    """

    ap: float
    by_threshold: dict[float, float]


def coco_map(
    labels: Sequence[Any],
    scores: Sequence[Mapping[int, float]],
    reference: Sequence[Any],
    *,
    thresholds: Sequence[float] = COCO_THRESHOLDS,
    max_detections: int | None = None,
    ignored: Sequence[Any] | None = None,
) -> CocoAP:
    """Average precision of objects of one class, ranked by confidence over all images.

    Args:
        labels: predicted instance map of each image ``[height width]``, 0 background.
        scores: confidence of each predicted id, a mapping an image.
        reference: reference instance map of each image, same shapes.
        thresholds: IoU thresholds; a pair matches at IoU >= threshold, best score first.
        max_detections: how many predictions an image keeps, best first; None keeps all. COCO keeps
            100, which cuts off images full of cells.
        ignored: bool mask of each image; its pixels are dropped from both maps first. (COCO keeps
            them and excuses what lies mostly in a crowd.)

    Returns:
        The scores in 0..1; NaN if there are no objects at all, 0 if all were missed or invented.

    Raises:
        ImportError: faster-coco-eval is not installed.
        ValueError: lists or shapes do not fit together, or an id is negative or has no score.

    Example:
        One object found exactly with the best score, one missed: precision 1 up to recall 1/2, so
        51 of the 101 recall points count.

        >>> result = coco_map([[[4, 0, 0]]], [{4: 0.9}], [[[1, 0, 2]]], thresholds=[0.5])
        >>> round(result.ap, 4)
        0.505

    Paper:
        Lin et al., Microsoft COCO: common objects in context, ECCV 2014.
    """
    try:
        from faster_coco_eval import COCO, COCOeval_faster
    except ImportError as error:
        raise ImportError(
            "coco_map needs faster-coco-eval; install fewshot-segmentation[metrics]"
        ) from error
    counts = {"labels": len(labels), "scores": len(scores), "reference": len(reference)}
    if ignored is not None:
        counts["ignored"] = len(ignored)
    if len(set(counts.values())) != 1:
        raise ValueError(f"expected one entry an image in each list, got {counts}")
    predicted, true = _kept(labels, reference, ignored)
    truth = [_annotations(each, image, None) for image, each in enumerate(true)]
    found = [_annotations(each, image, scores[image]) for image, each in enumerate(predicted)]
    if not any(truth) or not any(found):
        value = 0.0 if any(truth) or any(found) else float("nan")
        return CocoAP(value, dict.fromkeys(thresholds, value))
    data = COCO(_dataset(truth, true))
    evaluation = COCOeval_faster(data, data.loadRes(_flat(found)), "segm", print_function=_silent)
    evaluation.params.iouThrs = np.array(thresholds, np.float64)
    most = max_detections or max(len(each) for each in found)
    evaluation.params.maxDets = [most]
    evaluation.evaluate()
    evaluation.accumulate()
    curves = evaluation.eval["precision"][:, :, 0, 0, -1]  # [threshold recall], area "all"
    values = curves.mean(axis=1)
    return CocoAP(float(values.mean()), dict(zip(thresholds, values.tolist(), strict=True)))


def _silent(*_: Any) -> None:
    """Swallow the table that the evaluation would print."""


def _flat(annotations: list[list[dict[str, Any]]]) -> list[dict[str, Any]]:
    return [each for image in annotations for each in image]


def _kept(
    labels: Sequence[Any], reference: Sequence[Any], ignored: Sequence[Any] | None
) -> tuple[list[NDArray[Any]], list[NDArray[Any]]]:
    """Check the instance maps and set ignored pixels to background."""
    predicted, true = [], []
    for image, pair in enumerate(zip(labels, reference, strict=True)):
        first, second = as_label_pair(*pair)
        if first.ndim != 2:
            raise ValueError(f"image {image} has shape {first.shape}, expected [height width]")
        if first.size and min(first.min(), second.min()) < 0:
            raise ValueError(f"image {image} holds a negative id, expected 0 and positive ids")
        if ignored is not None:
            dropped = np.asarray(as_array(ignored[image]), bool)
            first, second = np.where(dropped, 0, first), np.where(dropped, 0, second)
        predicted.append(first)
        true.append(second)
    return predicted, true


def _dataset(
    annotations: list[list[dict[str, Any]]], maps: Sequence[NDArray[Any]]
) -> dict[str, Any]:
    return {
        "images": [
            {"id": image, "height": height, "width": width}
            for image, (height, width) in enumerate(each.shape for each in maps)
        ],
        "categories": [{"id": 1, "name": "object"}],
        "annotations": [{**each, "id": index + 1} for index, each in enumerate(_flat(annotations))],
    }


def _annotations(
    instances: NDArray[Any], image: int, scores: Mapping[int, float] | None
) -> list[dict[str, Any]]:
    objects = []
    for identity, code, area in _run_lengths(instances):
        entry = {"image_id": image, "category_id": 1, "segmentation": code}
        if scores is None:
            entry |= {"iscrowd": 0, "area": area}
        elif identity in scores:
            entry |= {"score": float(scores[identity])}
        else:
            raise ValueError(f"image {image}: the predicted object {identity} has no score")
        objects.append(entry)
    return objects


def _run_lengths(instances: NDArray[Any]) -> list[tuple[int, dict[str, Any], int]]:
    """Run-length code every object in one pass over the columns, where a mask each takes many."""
    from faster_coco_eval.core import mask as codec

    height, width = instances.shape
    flat = instances.T.reshape(-1)
    starts = np.flatnonzero(np.append(True, flat[1:] != flat[:-1])[: flat.size])
    ends = np.append(starts[1:], flat.size)[: starts.size]
    order = np.argsort(flat[starts], kind="stable")
    ids, first = np.unique(flat[starts][order], return_index=True)
    coded = []
    for identity, runs in zip(ids.tolist(), np.split(order, first[1:]), strict=True):
        if identity:
            edges = np.stack([starts[runs], ends[runs]], axis=1).reshape(-1)
            lengths = np.diff(edges, prepend=0, append=flat.size).tolist()
            code = codec.frPyObjects({"counts": lengths, "size": [height, width]}, height, width)
            coded.append((identity, code, int((ends[runs] - starts[runs]).sum())))
    return coded
