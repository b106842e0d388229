"""Cells and settings of benchmarks that the version before wrote are still read."""

import json
from dataclasses import asdict

import pytest

from episodes.errors import DataError
from episodes.protocols.alpnet import AlpnetSettings, alpnet
from fewshot.benchmark.cells import Cell, Setting, cell_path, read_cell, write_cell
from fewshot.benchmark.manifest import NAME, settle
from tests.episodes.protocols import toy


def test_a_cell_of_the_earlier_version_lies_and_reads_as_before(tmp_path):
    protocol = alpnet(toy.ten_scans(), AlpnetSettings())
    setting = Setting("alpnet", "keep", "published", "", 0)
    path = cell_path(tmp_path, "a", setting, 1)
    assert path == tmp_path / "cells/a/alpnet/none_published_fold0_seed1.json"
    train = protocol.train.fingerprint
    cell = Cell("a", setting, 1, protocol.hash, train, "", (), None, None, 1.0)
    write_cell(path, cell)
    assert read_cell(path, protocol) == cell
    for rule, written in (("keep", "none"), ("any", "any")):
        old = {**asdict(setting), "exclude": written}
        del old["training_exclusion"]
        path.write_text(json.dumps({**json.loads(path.read_text()), "setting": old}))
        found = read_cell(path, protocol)
        assert found is not None
        assert found.setting.training_exclusion == rule


def test_settings_of_the_earlier_version_are_those_of_the_present_names(tmp_path):
    section = {"training.sources.superpixels": 1.0, "training.way": 1}
    stored = {"format": 1, "sections": {"a": section}}
    (tmp_path / NAME).write_text(json.dumps(stored))
    settle(tmp_path, {"a": {"training.mix.superpixels": 1.0, "training.way": 1}})
    with pytest.raises(DataError, match=r"whose a has training\.mix\.superpixels 1\.0"):
        settle(tmp_path, {"a": {"training.mix.superpixels": 0.5, "training.way": 1}})
