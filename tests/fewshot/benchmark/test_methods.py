"""What the names of methods stand for."""

import pytest

from episodes.errors import FewshotError
from fewshot.benchmark.headlines import best
from fewshot.benchmark.methods import baselines_of, build_baseline, read_recipe
from fewshot.benchmark.settings import Benchmark
from fewshot.evaluation.confusion_counts import CopyMask
from fewshot.evaluation.protocol_predictor import ProtocolPredictor


def test_classical_baselines_are_methods_without_a_model():
    found = baselines_of(["superpixels-local", "multi-otsu", "copy-mask"])
    assert found == ["copy-mask", "feature-grid", "multi-otsu"]
    method = build_baseline("multi-otsu", (64, 8), None)
    assert isinstance(method, ProtocolPredictor)
    assert type(method.predictor).__name__ == "MultiOtsuPredictor"
    assert isinstance(build_baseline("copy-mask", (64, 8), None), CopyMask)
    with pytest.raises(FewshotError, match="did you mean 'multi-otsu'"):
        read_recipe("multi-otsy", Benchmark(data=None))
    rows = [{"method": "multi-otsu", "mean": 0.9}, {"method": "superpixels-local", "mean": 0.5}]
    assert best(rows)["method"] == "superpixels-local"  # the best method, no baseline
