"""What runs record of their split, and records of the version before settings got their names."""

import json

import pytest

from episodes.errors import DataError
from fewshot.experiments.run_record import (
    dataset_record,
    read_split,
    recorded_dataset,
    recorded_hold_out,
    same_data,
    with_present_names,
)
from fewshot.experiments.settings import DatasetSettings, HoldOut

HELD = {
    "novel": ["spleen"],
    "test_subjects": [],
    "test_share": 0.25,
    "exclude": "any",
    "subject_pattern": r"p\d+",
    "classes": ["1=liver"],
    "ignore_affine": True,
    "split_seed": 3,
}
EARLIER = {
    "data": "/data",
    "held": HELD,
    "train_fingerprint": "1",
    "test_fingerprint": "2",
    "episodes": {"classes_a_batch": 2, "images_a_class": 4, "turns": 8, "seed": 0, "hash": "3"},
}


@pytest.fixture
def earlier(tmp_path):
    (tmp_path / "split.json").write_text(json.dumps(EARLIER))
    return tmp_path


def test_a_split_of_the_earlier_version_is_read(earlier):
    split = read_split(earlier)
    assert recorded_hold_out(split, earlier) == HoldOut(
        novel=("spleen",), training_exclusion="any", split_seed=3
    )
    assert recorded_dataset(split, earlier, cache=False) == DatasetSettings(
        subject_pattern=r"p\d+", classes=("1=liver",), ignore_affine=True, cache=False
    )


def test_keeping_training_images_was_called_none():
    split = with_present_names({"held": {**HELD, "exclude": "none"}})
    assert split["hold_out"]["training_exclusion"] == "keep"
    assert "held" not in split


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({}, None),
        ({"rotation_classes": 4}, "another rotation_classes"),
        ({"classes_per_batch": 3}, "another classes_per_batch"),
    ],
)
def test_a_run_of_the_earlier_version_goes_on_with_the_same_draws_alone(earlier, changed, said):
    dataset = DatasetSettings(
        subject_pattern=r"p\d+", classes=("1=liver",), ignore_affine=True, cache=False
    )
    drawn = {"classes_per_batch": 2, "images_per_class": 4, "rotation_classes": 8, "seed": 0}
    about = {
        "dataset": json.loads(json.dumps(dataset_record(dataset))),
        "hold_out": read_split(earlier)["hold_out"],
        "train_fingerprint": "1",
        "episodes": {**drawn, **changed, "hash": "4"},
    }
    if said is None:
        same_data(earlier, about)
        return
    with pytest.raises(DataError, match=said):
        same_data(earlier, about)


def test_another_rule_for_training_images_is_another_split(earlier):
    about = with_present_names({**EARLIER, "held": {**HELD, "exclude": "none"}})
    with pytest.raises(DataError, match="another training_exclusion than"):
        same_data(earlier, about)


def test_a_setting_of_no_version_is_told(earlier):
    split = read_split(earlier)
    split["hold_out"]["exclud"] = "any"
    with pytest.raises(DataError, match="of another version"):
        recorded_hold_out(split, earlier)
