"""Coordinates beside the features of a segmenter that was trained without them, and the reverse."""

from dataclasses import replace

from episodes.errors import ModelError
from fewshot.segmenter import Segmenter


def with_coordinates(segmenter: Segmenter, weight: float) -> Segmenter:
    """Give a trained segmenter coordinates beside its features; 0 takes them away.

    Raises:
        ModelError: its head has weights of its own, which were made for other features.
    """
    if any(True for _ in segmenter.head.parameters()):
        raise ModelError(
            f"coordinates is {weight}, but the head {type(segmenter.head).__name__} has weights "
            "that know no coordinates; train it with them (SegmenterSettings.coordinates)"
        )
    plain = replace(segmenter.settings.encoder, weights="none")  # they are copied from the old one
    changed = Segmenter(replace(segmenter.settings, encoder=plain, coordinates=weight))
    changed.load_state_dict(segmenter.state_dict())
    changed.calibration = segmenter.calibration
    return changed.eval()
