import pytest
import torch

from fewshot.inference.self_configuration.expectation import (
    expected_dice,
    overlap_and_agreement,
)


def test_a_sure_answer_that_all_agree_on_is_expected_to_be_good():
    odds = torch.full((1, 4, 4), -20.0)
    odds[0, 1:3, 1:3] = 20.0
    sure = expected_dice({"a": odds, "b": odds}, odds, {"a": 1.0, "b": 2.0})
    assert sure == pytest.approx(-0.258 + 0.531 + 0.573)
    half = odds.clone()
    half[0, 1, 1:3] = -20.0
    apart = expected_dice({"a": odds, "b": half}, odds, {"a": 1.0, "b": 2.0})
    assert apart == pytest.approx(sure - 0.531 * 2 / 3 * (1 - 2 / 3), abs=1e-6)


def test_unsure_answers_are_expected_to_be_worse_and_none_to_be_nothing():
    odds = torch.full((1, 4, 4), -20.0)
    odds[0, 1:3, 1:3] = 20.0
    unsure = odds * 0.02
    before, after = (overlap_and_agreement({"a": odds}, o, {"a": 1.0}) for o in (odds, unsure))
    assert after[0] < before[0] == pytest.approx(1)
    assert after[1] == before[1] == 1
    assert expected_dice({"a": -odds.abs()}, -odds.abs(), {"a": 1.0}) == 0
