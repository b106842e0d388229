"""Annotated slices of a volume, used together."""

import numpy as np
import torch

from episodes.frame import Frame
from episodes.measure import measure
from episodes.protocols.alpnet import AlpnetSettings, alpnet
from episodes.readers import read
from fewshot.counting import CopyMask, Truth, count_protocol, pooled
from fewshot.protocol_slices import SharedSlices


def test_shared_slices_answer_the_cases_of_a_volume_together(nifti_set, segmenter):
    catalog = measure(read(nifti_set))
    truth = Truth(catalog)
    protocol = alpnet(catalog, AlpnetSettings(folds=3))
    method = SharedSlices(truth, segmenter)
    joined = method.arrange(protocol)
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
    for part in parts:  # the mean of the log-odds of one's own support and of all together
        alone, together = (
            segmenter.head.score(method._condense(keys, plan.classes[0]), features)[0]
            for features in [
                torch.stack([method._features(key, False) for key in part.query])[None]
            ]
            for keys in (part.support[0], plan.support[0])
        )
        odds = [logits.log_softmax(dim=1).diff(dim=1)[:, 0] for logits in (alone, together)]
        found = np.stack([answers[key] for key in part.query])
        for mask, mean in zip(found, sum(odds) / 2, strict=True):
            full = Frame(*mask.shape, segmenter.settings.size).undo(mean[None])[0]
            sure = full.abs() > 1e-3
            np.testing.assert_array_equal(mask[sure], (full > 0).numpy()[sure])
    scores = pooled(count_protocol(protocol, method, truth))
    cells = {(count.run, count.subject, count.class_name) for count in scores}
    copied = pooled(count_protocol(protocol, CopyMask(truth), truth))
    assert cells == {(count.run, count.subject, count.class_name) for count in copied}
    assert [c.found + c.missed for c in scores] == [c.found + c.missed for c in copied]
