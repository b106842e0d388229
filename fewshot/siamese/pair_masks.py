"""Which pairs are of one class: dense masks from exact integer labels."""

from collections.abc import Hashable, Iterable
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Int64, Shaped
from torch import Tensor

from episodes.errors import DataError

UNKNOWN = -1
"""Label of an item of unknown class: it is in no positive and in no negative pair."""


@dataclass(frozen=True)
class Relation:
    """Pairs of anchors and references.

    Attributes:
        positives: of one class; never an item with itself.
        negatives: of two classes, both known.
    """

    positives: Bool[Tensor, "anchor reference"]
    negatives: Bool[Tensor, "anchor reference"]


def relate(
    labels: Shaped[Tensor, "anchor"],
    reference_labels: Shaped[Tensor, "reference"] | None = None,
    left_out: Bool[Tensor, "anchor reference"] | None = None,
) -> Relation:
    """Compare labels, as the integers that they are; float32 would merge those above 2^24.

    Args:
        labels: of the anchors, int64; -1 is unknown.
        reference_labels: None when the references are the anchors themselves, whose pairs with
            themselves are then left out.
        left_out: further pairs that are neither positive nor negative.

    Raises:
        DataError: labels are no whole numbers.

    >>> found = relate(torch.tensor([7, 7, 8]))
    >>> found.positives.long().tolist(), found.negatives.long().tolist()
    ([[0, 1, 0], [1, 0, 0], [0, 0, 0]], [[0, 0, 1], [0, 0, 1], [1, 1, 0]])
    """
    others = labels if reference_labels is None else reference_labels
    for values in (labels, others):
        if values.dtype != torch.int64:
            raise DataError(
                f"labels are {values.dtype}; expected int64 (code_labels makes them of names)"
            )
    positives = labels[:, None] == others
    negatives = ~positives
    each = [labels == UNKNOWN] if others is labels else [labels == UNKNOWN, others == UNKNOWN]
    if any(unknown.any() for unknown in each):
        known = ~(each[0][:, None] | each[-1])
        positives, negatives = positives & known, negatives & known
    if reference_labels is None:
        positives.fill_diagonal_(False)
    if left_out is not None:
        positives, negatives = positives & ~left_out, negatives & ~left_out
    return Relation(positives, negatives)


def code_labels(
    names: Iterable[Hashable], known: Iterable[Hashable] | None = None
) -> Int64[Tensor, "item"]:
    """Give each name a whole number, in the order of first sight; None is unknown.

    Args:
        names: strings, numbers of any size, or None.
        known: the names that have the numbers 0, 1, ...; None to find them in `names`.

    Raises:
        DataError: a name is not among the known ones.

    >>> code_labels(["b", "a", None, "b"]).tolist()
    [0, 1, -1, 0]
    """
    listed = list(names)
    first_seen = listed if known is None else known
    codes = {
        name: code
        for code, name in enumerate(dict.fromkeys(n for n in first_seen if n is not None))
    }
    missing = [name for name in listed if name is not None and name not in codes]
    if missing:
        raise DataError(f"the label {missing[0]!r} is not among the {len(codes)} known ones")
    coded = [UNKNOWN if name is None else codes[name] for name in listed]
    return torch.tensor(coded, dtype=torch.int64)
