"""A short run of tests/fuzz_readers.py; `--rounds 1000` there is the long one."""

import logging

import numpy as np
import pytest

from episodes.errors import FewshotError
from tests import fuzz_readers


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", fuzz_readers.FORMATS)
def test_damaged_files_are_read_or_refused(name):
    logging.disable()
    try:
        counts = fuzz_readers.fuzz(name, 25, seed=1)
    finally:
        logging.disable(logging.NOTSET)
    assert counts["read"] + counts["refused"] == 25
    assert counts["refused"] > 0


def test_damage_changes_something():
    generator = np.random.default_rng(0)
    content = bytes(range(256)) * 4
    changed = [fuzz_readers.damage(content, generator) for _ in range(200)]
    assert sum(found != content for found in changed) > 190


def test_another_error_is_not_taken_for_a_refusal(monkeypatch):
    def broken(root):
        raise KeyError("x")

    calls = iter([lambda root: None, broken])
    monkeypatch.setattr(fuzz_readers, "read_all", lambda root: next(calls)(root))
    with pytest.raises(KeyError) as caught:
        fuzz_readers.fuzz("png", 3, seed=0)
    assert not isinstance(caught.value, FewshotError)
    assert "png, round 0" in caught.value.__notes__[0]
