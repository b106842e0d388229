"""Checks that every class can be drawn, before the first episode."""

from collections.abc import Mapping, Sequence

import numpy as np

from episodes.errors import EpisodeError, shorten
from episodes.sampling.pools import Pool, Table
from episodes.sampling.settings import EpisodeSettings, span


def check(pools: Mapping[str, Sequence[Pool]], table: Table, settings: EpisodeSettings) -> None:
    """Raise unless every class alone can fill its part of the largest episode.

    Raises:
        EpisodeError: too few classes; or a class has too few images, subjects or neighbouring
            slices.
    """
    max_way = span(settings.way)[1]
    if max_way > len(pools):
        raise EpisodeError(
            f"{max_way} ways from {len(pools)} classes ({shorten(pools)}); "
            "choose fewer ways or add classes"
        )
    shot, queries = settings.max_shots, settings.max_queries
    for name, parts in pools.items():
        _check_count(name, sum(map(len, parts)), shot, queries, settings)
        if settings.same_volume:
            _check_volume(name, parts[0], table, settings)
        elif settings.disjoint_subjects:
            _check_subjects(name, parts, shot, queries)


def _check_count(name: str, count: int, shot: int, queries: int, settings: EpisodeSettings) -> None:
    required = shot + queries
    if count >= required:
        return
    limit = f" and at most {settings.max_area}" if settings.max_area is not None else ""
    raise EpisodeError(
        f"class {name!r} has {count} images of at least {settings.min_area}{limit} pixels; "
        f"{shot} shots and {queries} queries need {required}. Add images, choose "
        "fewer, lower min_area, or leave the class out (Catalog.of_classes)"
    )


def _check_subjects(name: str, parts: Sequence[Pool], shot: int, queries: int) -> None:
    groups = np.concatenate([part.groups for part in parts])
    images = np.concatenate([part.sizes() for part in parts])
    sizes = np.bincount(np.unique(groups, return_inverse=True)[1], images).astype(int)
    if not separable(sizes.tolist(), shot, queries):
        raise EpisodeError(
            f"class {name!r} has {sizes.sum()} images of {len(sizes)} subject(s); {shot} "
            f"shots and {queries} queries of different subjects cannot be drawn from "
            "them. Add subjects or set disjoint_subjects=False"
        )


def _check_volume(name: str, pool: Pool, table: Table, settings: EpisodeSettings) -> None:
    sizes, required = pool.sizes(), settings.max_images
    if sizes.max(initial=0) < required:
        raise EpisodeError(
            f"class {name!r} has at most {sizes.max(initial=0)} slices in one volume; an episode "
            f"of one volume needs {required}. Choose fewer shots or queries, lower min_area, set "
            "same_volume=False, or leave the class out (Catalog.of_classes)"
        )
    gap = settings.max_gap
    if gap is None:
        return
    steps, same = np.diff(table.plane[pool.ranks]), np.diff(table.group[pool.ranks]) == 0
    if not (same & (steps <= gap)).any():
        raise EpisodeError(
            f"class {name!r} has no two slices of one volume at most {gap} apart; raise max_gap, "
            "lower min_area, or leave the class out (Catalog.of_classes)"
        )


def separable(sizes: Sequence[int], shot: int, queries: int) -> bool:
    """Whether whole subjects can be dealt into two sides of at least `shot` and `queries` images.

    Args:
        sizes: images of each subject.
        shot: images needed on one side.
        queries: images needed on the other.

    >>> separable([2, 2], 2, 2), separable([2, 2], 3, 1)
    (True, False)
    """
    if len(sizes) >= shot + queries and min(sizes) > 0:
        return True
    largest = {0: 0}  # images on the query side, capped: largest number on the support side
    for size in sizes:
        dealt: dict[int, int] = {}
        for query_side, support_side in largest.items():
            for key, value in (
                (min(query_side + size, queries), support_side),
                (query_side, min(support_side + size, shot)),
            ):
                dealt[key] = max(dealt.get(key, 0), value)
        largest = dealt
    return largest.get(queries, 0) >= shot
