"""Settings of an episode: ways, shots, queries, and which images may be drawn together."""

from dataclasses import dataclass
from typing import Literal

from episodes.errors import EpisodeError

Span = int | tuple[int, int]
"""A number, or the smallest and the largest number."""


@dataclass(frozen=True)
class EpisodeSettings:
    """Settings of an episode.

    Attributes:
        way: classes an episode; two numbers are a range from which each episode draws.
        shot: annotated images a class; two numbers are a range.
        query: images to segment; query q shows at least the class q modulo way.
        min_area: smallest number of pixels (of the file) of a class in an image drawn for it.
        disjoint_subjects: whether support and query come from different subjects.
        max_area: largest number of pixels of a class in an image drawn for it; None for no limit.
        area_quantiles: number of groups of images, from small to large areas of the class and of
            equal size, that are drawn with one probability; 1 ignores areas.
        class_weights: "uniform" draws all classes with one probability, "frequency" in proportion
            to their numbers of images.
        same_volume: whether all images of an episode are slices of one volume.
        max_gap: with `same_volume`, largest distance of a query from a support slice of its class,
            in slices; None for any.
        group: with ranges, so many episodes in a row share way and shot; batch size times number
            of processes, so that every batch can be stacked.
    """

    way: Span = 1
    shot: Span = 1
    query: int = 1
    min_area: int = 64
    disjoint_subjects: bool = True
    max_area: int | None = None
    area_quantiles: int = 1
    class_weights: Literal["uniform", "frequency"] = "uniform"
    same_volume: bool = False
    max_gap: int | None = None
    group: int = 1

    def __post_init__(self) -> None:
        for name in ("way", "shot"):
            low, high = span(getattr(self, name))
            if low < 1:
                raise EpisodeError(f"{name} is {getattr(self, name)}; expected at least 1")
            if low > high:
                raise EpisodeError(f"{name} is {low} to {high}; expected the smaller number first")
        for name in ("query", "min_area", "area_quantiles", "group"):
            if getattr(self, name) < 1:
                raise EpisodeError(f"{name} is {getattr(self, name)}; expected at least 1")
        if self.max_area is not None and self.max_area < self.min_area:
            raise EpisodeError(
                f"max_area is {self.max_area} and min_area {self.min_area}; expected the larger "
                "number for max_area, or None"
            )
        if self.class_weights not in ("uniform", "frequency"):
            raise EpisodeError(
                f"class_weights is {self.class_weights!r}; expected uniform or frequency"
            )
        self._check_volumes()

    def _check_volumes(self) -> None:
        if self.same_volume and self.disjoint_subjects:
            raise EpisodeError(
                "same_volume is set and so is disjoint_subjects, but one volume is of one subject; "
                "set disjoint_subjects=False"
            )
        if self.max_gap is not None and not self.same_volume:
            raise EpisodeError(
                f"max_gap is {self.max_gap} without same_volume; slices are neighbours in one "
                "volume only, so set same_volume=True"
            )
        if self.max_gap is not None and self.max_gap < 1:
            raise EpisodeError(f"max_gap is {self.max_gap}; expected at least 1, or None")
        if self.same_volume and self.area_quantiles > 1:
            raise EpisodeError(
                f"area_quantiles is {self.area_quantiles} with same_volume; expected 1, as one "
                "volume has too few slices to draw evenly over areas"
            )

    @property
    def varies(self) -> bool:
        """Whether way or shot is a range."""
        return any(low < high for low, high in (span(self.way), span(self.shot)))

    @property
    def max_shots(self) -> int:
        """The largest number of shots."""
        return span(self.shot)[1]

    @property
    def max_queries(self) -> int:
        """The largest number of queries that one class has to show."""
        return -(-self.query // span(self.way)[0])

    @property
    def max_images(self) -> int:
        """The largest number of images of one class in an episode."""
        return self.max_shots + self.max_queries


def span(value: Span) -> tuple[int, int]:
    """Return the smallest and the largest number of a span.

    >>> span(3), span((1, 5))
    ((3, 3), (1, 5))
    """
    return (value, value) if isinstance(value, int) else (value[0], value[1])
