import pytest

from episodes.errors import EpisodeError
from episodes.protocols.full_volume import FullVolumeSettings, full_volume, nearest_position
from tests.episodes.protocols import toy

# Folds of two over four scans. Fold 0 tests 1 and 2, supported by scan 3.
# Scan 3 has 8 slices and shows a on 2..7 (n = 6): support places 1, 3, 5 -> planes 3, 5, 7.
CATALOG = toy.volumes(
    toy.scan(1, *["a"] * 4),
    toy.scan(2, "", "", "", "a", "", ""),
    toy.scan(3, "", "", *["a"] * 6),
    toy.scan(4, "a", ""),
    classes=("a",),
)


def pairs(**settings):
    found = full_volume(CATALOG, FullVolumeSettings(folds=2, **settings))
    return {key: case.plan.support[0][0] for case in found.cases for key in case.plan.query}, found


def test_the_middle_slice_segments_every_slice():
    found, protocol = pairs(choose="middle")
    assert set(found) == {*(f"1#{z}" for z in range(4)), *(f"2#{z}" for z in range(6))}
    assert set(found.values()) == {"3#5"}
    assert protocol.excluded == {"query scan": 10, "support scan": 8}


def test_thirds_of_the_volume():
    found, _ = pairs(choose="thirds")
    # 3 z / 4: 0, 0.75, 1.5, 2.25; 3 z / 6: 0, 0.5, 1, 1.5, 2, 2.5
    assert [found[f"1#{z}"] for z in range(4)] == ["3#3", "3#3", "3#5", "3#7"]
    assert [found[f"2#{z}"] for z in range(6)] == ["3#3", "3#3", "3#5", "3#5", "3#7", "3#7"]


def test_the_nearest_relative_place_of_three_slices():
    found, _ = pairs()
    # Supports lie at 3.5/8 = 0.4375, 5.5/8 = 0.6875, 7.5/8 = 0.9375; half way are 0.5625, 0.8125.
    # Scan 1: 0.125, 0.375, 0.625, 0.875.
    assert [found[f"1#{z}"] for z in range(4)] == ["3#3", "3#3", "3#5", "3#7"]
    # Scan 2: 1/12 = 0.083, 0.25, 0.417, 0.583, 0.75, 0.917.
    assert [found[f"2#{z}"] for z in range(6)] == ["3#3", "3#3", "3#3", "3#5", "3#5", "3#7"]


def test_the_nearest_relative_place_of_a_whole_volume_may_show_nothing():
    found, _ = pairs(annotated="volume")
    # Support slice s lies at (s + 1/2) / 8: 0.0625, 0.1875, ... Scan 1 at 0.125, 0.375, 0.625 and
    # 0.875 is half way between two, so the lower one is taken.
    assert [found[f"1#{z}"] for z in range(4)] == ["3#0", "3#2", "3#4", "3#6"]
    # Scan 2 at 0.083, 0.25, 0.417, 0.583, 0.75, 0.917, where 0.25 and 0.75 are half way again.
    assert [found[f"2#{z}"] for z in range(6)] == ["3#0", "3#1", "3#3", "3#4", "3#5", "3#7"]


def test_the_query_s_truth_chooses_nothing():
    """With other organs in the queries, the pairs stay the same."""
    other = toy.volumes(
        toy.scan(1, "a", "", "", ""),
        toy.scan(2, *["a"] * 6),
        toy.scan(3, "", "", *["a"] * 6),
        toy.scan(4, "a", ""),
        classes=("a",),
    )
    for choose in ("middle", "thirds", "proportional"):
        settings = FullVolumeSettings(folds=2, choose=choose)
        assert full_volume(CATALOG, settings).hash == full_volume(other, settings).hash


def test_a_matcher_sees_no_truth_and_chooses():
    seen = []

    def by_parity(query, annotated):
        seen.append((query.areas, query.masks, {s.areas for s in annotated}))
        return query.image.plane % len(annotated)

    found, protocol = pairs(choose=by_parity)
    assert found["1#0"] == "3#3"
    assert found["1#2"] == "3#7"
    assert found["2#4"] == "3#5"
    assert seen
    assert all(row == (None, (), {None}) for row in seen)
    assert protocol.settings["choose"].endswith("by_parity")


@pytest.mark.parametrize("wrong", [-1, 3])
def test_a_matcher_out_of_range_is_told(wrong):
    with pytest.raises(EpisodeError, match=f"returned {wrong} for 1#0; expected .* 0 to 2"):
        pairs(choose=lambda query, annotated: wrong)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"annotated": "volume", "choose": "middle"}, "takes annotated slices"),
        ({"annotated": "volume", "choose": "thirds"}, "takes annotated slices"),
    ],
)
def test_unknown_settings(settings, message):
    with pytest.raises(EpisodeError, match=message):
        pairs(**settings)


def test_nearest_place_by_hand():
    assert nearest_position(0, 1, [0, 1, 2], 3) == 1  # 0.5 of 0.17, 0.5, 0.83
    assert nearest_position(9, 10, [0], 100) == 0
