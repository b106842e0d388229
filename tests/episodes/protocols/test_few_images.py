"""Few annotated images of different subjects, queries of others."""

from pathlib import Path

import numpy as np
import pytest

from episodes.catalog.catalog import Catalog, Sample
from episodes.errors import DataError, EpisodeError
from episodes.io.pixels import PixelRef
from episodes.protocols.few_images import FewImagesSettings, few_images, rank_images


def catalog(areas: dict[str, list[dict[str, int]]]) -> Catalog:
    """Images of 10 x 10 pixels, by subject, with the areas of their classes."""
    samples = [
        Sample(f"{subject}_{n}", PixelRef(Path(f"{n}.png"), 0), (), subject, (10, 10), each)
        for subject, images in areas.items()
        for n, each in enumerate(images)
    ]
    classes = sorted({name for sample in samples for name in sample.areas})
    return Catalog(tuple(samples), tuple(classes), name="toy")


def many(subjects: int, images: int = 2) -> Catalog:
    generator = np.random.default_rng(0)
    return catalog(
        {
            f"s{number}": [{"a": int(area)} for area in generator.integers(10, 50, images)]
            for number in range(subjects)
        }
    )


def test_subjects_are_apart_and_more_shots_begin_with_fewer():
    protocol = few_images(many(20), FewImagesSettings((1, 5), 3, 8))
    assert [(c.run, len(c.plan.support[0])) for c in protocol.cases] == [
        (f"draw {draw}", shots) for draw in range(3) for shots in (1, 5)
    ]
    for one, five in zip(protocol.cases[::2], protocol.cases[1::2], strict=True):
        assert five.plan.support[0][:1] == one.plan.support[0]
        assert five.plan.query == one.plan.query
        assert len(five.plan.query) == len(set(five.plan.query_subjects)) == 8
        annotated = {key.split("_")[0] for key in five.plan.support[0]}
        assert len(annotated) == 5
        assert not annotated & set(five.plan.query_subjects)
    first = {case.plan.support[0][0].split("_")[0] for case in protocol.cases}
    assert len(first) == 3  # no draw begins with the subject of another
    assert len(protocol.train) == 0


def test_the_list_is_the_same_again_and_another_with_another_seed():
    found = [few_images(many(12), FewImagesSettings(seed=seed)).hash for seed in (0, 0, 1)]
    assert found[0] == found[1] != found[2]


def test_a_second_image_of_a_subject_comes_after_the_first_of_all():
    protocol = few_images(many(4, 3), FewImagesSettings((1,), 1, 7))
    subjects = protocol.cases[0].plan.query_subjects
    assert sorted(subjects[:3]) == sorted(set(subjects))
    assert len(subjects) == 7
    assert len(set(protocol.cases[0].plan.query)) == 7


def test_few_subjects_give_several_images_and_a_note():
    protocol = few_images(many(4, 3), FewImagesSettings((1, 5), 1))
    support = protocol.cases[1].plan.support[0]
    assert len(set(support)) == 5
    assert len({key.split("_")[0] for key in support}) == 2
    assert protocol.notes == ("5 annotated images are of 2 subjects, since there are 4",)
    protocol = few_images(many(3, 1), FewImagesSettings((1, 5), 1))
    assert len(protocol.cases) == 1
    assert protocol.notes == ("5 annotated images are left out: there are 1 beside the queries",)
    with pytest.raises(EpisodeError, match="toy: 5 annotated images are left out"):
        few_images(many(3, 1), FewImagesSettings((5,), 1))


def test_more_than_half_of_the_subjects_are_annotated_where_these_have_too_few_images():
    """Twenty subjects with an image each: sixteen leave four for the queries, and no more."""
    (case,) = few_images(many(20, 1), FewImagesSettings((16,), 1, 4)).cases
    assert len({key.split("_")[0] for key in case.plan.support[0]}) == 16
    assert len(case.plan.query) == 4
    assert not {key.split("_")[0] for key in case.plan.support[0]} & set(case.plan.query_subjects)
    with pytest.raises(EpisodeError, match="there are 15 beside the queries"):
        few_images(many(20, 1), FewImagesSettings((16,), 1, 5))
    (case,) = few_images(many(20, 2), FewImagesSettings((16,), 1, 4)).cases
    assert len({key.split("_")[0] for key in case.plan.support[0]}) == 10  # two images of some


def test_examples_show_all_classes_and_no_extreme_area():
    areas = {f"s{n}": [{"a": 10 + n, "b": 5}] for n in range(10)}
    areas |= {f"t{n}": [{"a": 30}] for n in range(10)}
    found = rank_images(catalog(areas), ("a", "b"))
    assert [found[f"s{n}_0"] for n in range(10)] == [(0, n in (0, 1, 8, 9)) for n in range(10)]
    assert found["t0_0"] == (1, False)
    protocol = few_images(catalog(areas), FewImagesSettings((1, 5), 2))
    for case in protocol.cases:
        assert all(key[0] == "s" for key in case.plan.support[0])
        assert case.plan.classes == ("a", "b")
        assert case.plan.support[0] == case.plan.support[1]


def test_classes_are_those_that_the_annotated_images_show():
    toy = catalog({"s": [{"a": 10}], "t": [{"a": 10, "b": 0}], "u": [{}]})
    protocol = few_images(toy, FewImagesSettings((1,), 1))
    assert protocol.cases[0].plan.classes == ("a",)


def test_bad_settings_and_catalogs_are_refused():
    with pytest.raises(EpisodeError, match="toy has 1 subjects, 1 of which show a; expected two"):
        few_images(many(1), FewImagesSettings())
    with pytest.raises(DataError, match="supports is 0; expected at least 1"):
        FewImagesSettings(supports=0)
    with pytest.raises(DataError, match=r"shots are \(\); expected numbers of images"):
        FewImagesSettings(shots=())
