"""Pipelines as files: read again as they were written, and nothing in them is executed."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from episodes.errors import DataError
from fewshot import (
    BiasFieldCorrection,
    Contrast,
    Denoise,
    FillHoles,
    FuseLabels,
    LargestParts,
    LeastSize,
    Normalise,
    Objects,
    Pipeline,
    Resample,
    Segment,
    Separate,
    SmoothLabels,
    Window,
)
from fewshot.pipeline import examples

SEGMENT = "{support: a.png, mask: b.png}"
floats = st.floats(-1e6, 1e6)
words = st.text(min_size=1, max_size=8).filter(lambda word: "\0" not in word)
names = st.text("abcdefghijk: #&*!|>%@`'\"-[]{},é", min_size=1, max_size=10)


def some(kind, **values):
    """A kind of step, and values of which it is made in the test: making one draws numbers."""
    return st.tuples(st.just(kind), st.fixed_dictionaries(values))


BEFORE = (
    some(Window, level=floats, width=st.floats(1e-6, 1e6)),
    some(Denoise, method=st.sampled_from(("tv", "median")), strength=st.none() | st.floats(0, 10)),
    some(Normalise, method=st.just("percentile"), percentiles=st.just([0.5, 99])),
    some(Contrast, gamma=st.floats(0.01, 100)),
    some(BiasFieldCorrection, shrink=st.integers(1, 32)),
)
SEGMENTS = some(
    Segment,
    support=st.lists(words, min_size=2, max_size=2),
    mask=st.lists(words, min_size=2, max_size=2),
    classes=st.sampled_from(((), "cell", ["1=cell", "2=no"], {"3": "cell"})),
    predictor=st.sampled_from((None, "threshold", "end-to-end")),
    model=st.none() | words,
    settings=st.dictionaries(names, floats | st.booleans() | names, max_size=2),
    size=st.none() | st.integers(32, 512),
)
AFTER = (
    some(LargestParts, count=st.integers(1, 9), share=st.floats(0, 1)),
    some(LeastSize, least=st.sampled_from(("20 px", "1e-3 mm2", "3 µm³"))),
    some(FillHoles),
    some(SmoothLabels, method=st.sampled_from(("majority", "opening"))),
)
STEPS = st.tuples(
    st.lists(st.one_of(*BEFORE), max_size=2),
    st.lists(some(Resample, factor=st.floats(0.1, 9)), max_size=1),
    st.lists(SEGMENTS, min_size=1, max_size=2),
    st.lists(st.one_of(*AFTER), max_size=2),
    st.lists(some(Separate, neck=st.none() | st.floats(0, 0.9)), max_size=1),
    st.lists(some(Objects), max_size=1),
)


@settings(max_examples=60, deadline=None)
@given(STEPS, names, st.sampled_from(((None, ()), ("YXC", (0, 2)))))
def test_what_is_written_is_read_again(groups, name, reading):
    made = [[kind(**values) for kind, values in group] for group in groups]
    made[2] += [FuseLabels("mean")] * (len(made[2]) > 1)
    pipeline = Pipeline(tuple(step for group in made for step in group), name, *reading)
    text = pipeline.to_yaml()
    assert Pipeline.from_yaml(text) == pipeline
    assert Pipeline.from_yaml(text).to_yaml() == text


def test_paths_are_relative_to_the_file(tmp_path):
    (tmp_path / "a").mkdir()
    path = tmp_path / "a" / "p.yaml"
    path.write_text(f"steps: [segment: {SEGMENT}]")
    pipeline = Pipeline.load(path)
    assert pipeline.files() == (tmp_path / "a/a.png", tmp_path / "a/b.png")
    moved = pipeline.save(tmp_path / "moved.yaml")
    assert "- a/a.png" in moved.read_text()
    assert Pipeline.load(moved).files() == pipeline.files()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("steps: [denoize]", "did you mean denoise"),
        ("steps: [denoise: {metod: median}]", "denoise has no 'metod'; did you mean method"),
        ("steps: [denoise: {method: medain}]", "did you mean median"),
        ("steps: [denoise: {size: large}]", "size is 'large'; expected a whole number"),
        ("steps: [denoise: {size: 3, size: 5}]", "line 1: size stands there twice"),
        ("stepz: []", "did you mean steps"),
        ("steps: 3", "expected a list"),
        ("- 3", "no mapping"),
        ("", "no mapping"),
        ("steps: [", "it is no YAML"),
        ("steps: [objects]", "add a segment step"),
        ("steps: [segment: {support: a.png}]", "segment needs mask"),
        ("steps: [segment: {support: 5, mask: b}]", "support is 5; expected the path"),
        ("steps: [segment: {support: a, mask: b, predictor: treshold}]", "did you mean threshold"),
        ("steps: [window: {level: .nan, width: 3}]", "level is nan; expected a number"),
        ("a: &x [1]\nb: *x", "alias"),
        ("[" * 9000, "nested deeper"),
        ("x" * 300_000, "more than 262,144"),
        ("steps: [3]", "step 1 is 3; expected the name of a step"),
        ("steps: [denoise: 3]", "expected names and values"),
        ("? [1]\n: 3", "expected a name before the colon"),
        ("name: \x07", "it is no YAML"),
    ],
)
def test_what_is_wrong_is_named_with_what_was_expected(text, words):
    with pytest.raises(DataError, match=words):
        Pipeline.from_yaml(text)


@pytest.mark.parametrize(
    "tag",
    [
        "!!python/object/apply:os.system ['touch executed']",
        "!!python/object/new:subprocess.Popen [[touch, executed]]",
        "!!python/name:os.system",
        "!!python/module:os",
        "!include other.yaml",
    ],
)
@pytest.mark.parametrize("place", ["{}", "steps: {}", "steps: [denoise: {{size: {}}}]"])
def test_nothing_is_executed(tag, place, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError):
        Pipeline.from_yaml(place.format(tag))
    assert list(tmp_path.iterdir()) == []


def test_arrays_are_in_no_file_and_a_missing_file_is_told(tmp_path):
    array = np.zeros((4, 4))
    with pytest.raises(DataError, match="save arrays as images"):
        Pipeline((Segment(array, array),)).to_yaml()
    with pytest.raises(DataError, match="no such file"):
        Pipeline.load(tmp_path / "none.yaml")


@pytest.mark.parametrize("name", examples.names())
def test_the_examples_are_pipelines(name):
    pipeline = Pipeline.from_yaml(examples.text(name))
    assert Pipeline.from_yaml(pipeline.to_yaml()) == pipeline
