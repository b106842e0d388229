from typing import get_args

import pytest

from fewshot.commands.train import make_head_settings
from fewshot.commands.train_options import HeadName
from fewshot.heads import KINDS, ThresholdSettings, build_head
from fewshot.levels import Level
from fewshot.segmenter import SegmenterSettings, build_segmenter
from fewshot.training.task import episodic
from tests.fewshot.heads.family import TINY


@pytest.mark.parametrize("name", get_args(HeadName))
def test_every_name_stands_for_a_head_that_can_be_saved(name):
    settings = make_head_settings(name)
    assert type(settings) in KINDS.values()
    assert build_head(settings, [Level(8, 8)]).settings == settings


class NoEpisodes:
    def episode(self, index):
        raise AssertionError(f"episode {index} was asked for")


def test_a_head_that_has_weights_of_its_own_hands_them_to_training():
    segmenter = build_segmenter(SegmenterSettings(TINY, ThresholdSettings(), 64))
    assert segmenter.head.class_weights == (0.1, 1.0)
    assert _weights(segmenter) is None
    assert _weights(segmenter, (0.05, 1.0)) == (0.05, 1.0)


def _weights(segmenter, *given):
    return episodic(segmenter, NoEpisodes(), 1.0, *given).objective.class_weights
