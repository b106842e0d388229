import math

import numpy as np
import pytest

from fewshot.metrics.averages import average, penalise


def test_mean_counts_what_it_leaves_out():
    assert average([1, math.nan, 3, math.nan]) == (2.0, 2, 2, 0)
    assert average([1, math.inf]) == (math.inf, 2, 0, 1)
    assert average([1, math.inf], missing=5) == (3.0, 2, 0, 1)


def test_nothing_defined_is_nan_not_zero():
    for values in ([], [math.nan]):
        result = average(values)
        assert math.isnan(result.mean)
        assert result.defined == 0


def test_a_miss_never_pays():
    with pytest.raises(ValueError, match=r"missing is 10 but .* lies at 12"):
        penalise([12.0, math.inf], missing=10)
    np.testing.assert_array_equal(penalise([12.0, 3.0], missing=10), [12, 3])  # nothing is missing
    with pytest.raises(ValueError, match="finite penalty"):
        penalise([1.0], missing=math.inf)
