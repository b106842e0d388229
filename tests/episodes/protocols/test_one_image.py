"""One annotated image, many subjects."""

from pathlib import Path

import pytest

from episodes.catalog.catalog import Catalog, Sample
from episodes.errors import DataError, EpisodeError
from episodes.io.pixels import PixelRef
from episodes.protocols.one_image import OneImageSettings, middle_area, one_image


def picture(subject: str, number: int, **areas: int) -> Sample:
    key = f"{subject}/{number}.png"
    return Sample(key, PixelRef(Path(key), 0), (), subject, (8, 8), dict(areas))


CATALOG = Catalog(
    (
        *(picture("a", number, cell=area) for number, area in enumerate((9, 1, 5, 4))),
        picture("b", 0),  # shows nothing
        *(picture("c", number, cell=7) for number in range(3)),
        picture("d", 0, cell=3),
        picture("d", 1),
    ),
    ("cell",),
    "toy",
)


def test_each_other_subject_gives_the_image_of_middle_area():
    protocol = one_image(CATALOG, OneImageSettings(("d",)))
    found = {case.run: case.plan for case in protocol.cases}
    # a's areas in order are 1, 4, 5, 9: the lower of the two in the middle is picture 3
    assert {run: plan.support for run, plan in found.items()} == {
        "support 0": (("a/3.png",),),
        "support 2": (("c/1.png",),),
    }
    assert all(plan.query == ("d/0.png", "d/1.png") for plan in found.values())
    assert protocol.unit == "subject"
    assert set(protocol.train.subjects) == {"a", "b", "c"}
    assert protocol.excluded == {"test subject": 2}


def test_one_support_and_several_subjects():
    protocol = one_image(CATALOG, OneImageSettings(("d", "b"), support=1))
    assert [case.run for case in protocol.cases] == ["support 1", "support 1"]  # c, after a
    assert [case.plan.query_subjects[0] for case in protocol.cases] == ["b", "d"]


def test_the_middle_of_an_odd_number_is_the_median():
    samples = [picture("x", number, cell=area) for number, area in enumerate((8, 2, 5))]
    assert middle_area(samples, "cell").key == "x/2.png"


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        (OneImageSettings(()), DataError, "no test subject"),
        (OneImageSettings(("e",)), DataError, "'e'|e are not in toy"),
        (OneImageSettings(("d",), support=1), EpisodeError, "support is 1"),  # b shows nothing
        (OneImageSettings(("a", "c", "d")), EpisodeError, "0 of which show 'cell'"),
        (OneImageSettings(("d",), ("nerve",)), DataError, "nerve"),
    ],
)
def test_what_cannot_be_tested_is_refused(settings, error, message):
    with pytest.raises(error, match=message):
        one_image(CATALOG, settings)
