"""What is registered, what is propagated, and where a class is taken to lie."""

import numpy as np
import torch

from fewshot.inference.inputs import ImageStack
from fewshot.inference.predictors.build import build_predictor
from fewshot.inference.predictors.registered_slice import (
    RegisteredSlicePredictor,
    RegisteredSliceSettings,
)
from fewshot.inference.volumes.registration import RegistrationSettings


def test_selected_slices_alone_are_taken_to_span_the_class(segmenter, support_set, query):
    """Published protocols select them by the class; a user's whole volume begins anywhere."""
    part = ImageStack(query.pixels, "part", volume=True, selected=(3, 4, 5))

    def probabilities(image, **values):
        predictor = build_predictor(segmenter.network, "registered-slice", values)
        return predictor.segment(image, predictor.learn(support_set)).probabilities

    for image, spans in ((query, False), (part, True)):
        found = probabilities(image)
        np.testing.assert_array_equal(found, probabilities(image, query_spans_class=spans))
        assert not np.array_equal(found, probabilities(image, query_spans_class=not spans))


def test_propagation_of_another_registration_is_not_reused(segmenter):
    one, alike, other = (
        RegisteredSlicePredictor(
            segmenter.network, RegisteredSliceSettings(registration=registration)
        )
        for registration in (
            RegistrationSettings(),
            RegistrationSettings(),
            RegistrationSettings(lines=0),
        )
    )
    alike.share_cache(one)
    other.share_cache(one)
    assert alike.atlas._coverage is one.atlas._coverage
    assert other.atlas._coverage is not one.atlas._coverage
    assert (alike.learns_like(one), other.learns_like(one)) == (True, False)


def test_what_is_registered_and_what_is_propagated_count_alike(segmenter, support_set, query):
    predictor = build_predictor(segmenter.network, "registered-slice")
    (annotated, volume), *_ = predictor.learn(support_set).classes[0]
    del annotated
    part = ImageStack(query.pixels, "part", volume=True, selected=(1, 4))
    alone = predictor._warped_coverage(part, volume)
    assert len(alone) == 2
    assert 0 < alone.max() <= 1
    propagated = torch.linspace(0, 1, len(query.pixels))[:, None, None].expand(-1, *alone.shape[1:])
    predictor.atlas.propagate = lambda support, image: propagated
    both = predictor._warped_coverage(part, volume)
    torch.testing.assert_close(both, (alone + propagated[[1, 4]]) / 2)
