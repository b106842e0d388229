"""Cells and tables of results."""

import math

import pytest

from fewshot.metrics.tables import cell, csv_table, text_table, with_bounds, with_interval


@pytest.mark.parametrize(
    ("value", "interval", "written"),
    [
        (0.4567, (None, None), "0.46"),
        (95.754, (94.5, 96.756), "95.75 [94.5, 96.76]"),
        (None, (None, None), "undefined"),
    ],
)
def test_values_have_two_decimals(value, interval, written):
    assert with_interval(value, interval) == written


@pytest.mark.parametrize(
    ("bounds", "written"),
    [
        ((83.64, 80.0, 85.16), "83.6 [80.0, 85.2]"),
        ((83.64, None, 85.16), "83.6 alone"),
        ((83.64, 80.0, math.nan), "83.6 alone"),
        ((math.nan, None, None), "none"),
        ((None, None, None), "none"),
    ],
)
def test_means_have_one_decimal(bounds, written):
    assert with_bounds(*bounds, alone="alone", missing="none") == written


def test_shares_are_written_from_0_to_100():
    assert cell({"mean": 0.8364, "low": 0.8, "high": 0.851}) == "83.6 [80.0, 85.1]"
    assert cell({"mean": 0.5, "low": None, "high": None}) == "50.0 (one subject)"


def test_columns_are_as_wide_as_their_longest_cell():
    rows = [["liver", "9.0", "x"], ["spleen", "10.0", "y"]]
    assert text_table(["class", "Dice", ""], rows, right=[1]) == [
        *("class   Dice", "liver    9.0  x", "spleen  10.0  y")
    ]


def test_commas_are_quoted_and_what_is_missing_is_empty():
    assert csv_table(["a", "b"], [{"a": "1, 2", "c": 3}]) == 'a,b\n"1, 2",\n'
