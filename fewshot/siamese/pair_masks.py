"""Masks of the positive and negative pairs, from integer labels."""

from collections.abc import Hashable, Iterable
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Int64, Shaped
from torch import Tensor

from episodes.errors import DataError

UNKNOWN = -1
"""Label of an item of unknown class: it is in no positive and in no negative pair."""


@dataclass(frozen=True)
class PairMasks:
    """Pairs of anchors and references.

    Attributes:
        positives: of one class; never an item with itself.
        negatives: of two classes, both known.
    """

    positives: Bool[Tensor, "anchor reference"]
    negatives: Bool[Tensor, "anchor reference"]


def make_pair_masks(
    labels: Shaped[Tensor, "anchor"],
    reference_labels: Shaped[Tensor, "reference"] | None = None,
    ignored_pairs: Bool[Tensor, "anchor reference"] | None = None,
) -> PairMasks:
    """Make the masks of positive and negative pairs from labels.

    Labels are compared as integers; float32 would merge those above 2^24.

    Args:
        labels: of the anchors, int64; -1 is unknown.
        reference_labels: None when the references are the anchors themselves, whose pairs with
            themselves are then left out.
        ignored_pairs: further pairs that are neither positive nor negative.

    Raises:
        DataError: labels are no whole numbers.

    >>> pairs = make_pair_masks(torch.tensor([7, 7, 8]))
    >>> pairs.positives.long().tolist(), pairs.negatives.long().tolist()
    ([[0, 1, 0], [1, 0, 0], [0, 0, 0]], [[0, 0, 1], [0, 0, 1], [1, 1, 0]])
    """
    references = labels if reference_labels is None else reference_labels
    for values in (labels, references):
        if values.dtype != torch.int64:
            raise DataError(
                f"labels are {values.dtype}; expected int64 (encode_labels turns names into them)"
            )
    positives = labels[:, None] == references
    negatives = ~positives
    sides = (labels,) if references is labels else (labels, references)
    unknown = [side == UNKNOWN for side in sides]
    if any(side.any() for side in unknown):
        known = ~(unknown[0][:, None] | unknown[-1])
        positives, negatives = positives & known, negatives & known
    if reference_labels is None:
        positives.fill_diagonal_(False)
    if ignored_pairs is not None:
        positives, negatives = positives & ~ignored_pairs, negatives & ~ignored_pairs
    return PairMasks(positives, negatives)


def encode_labels(
    names: Iterable[Hashable], known: Iterable[Hashable] | None = None
) -> Int64[Tensor, "item"]:
    """Encode names as whole numbers, in the order of first occurrence; None is unknown.

    Args:
        names: strings, numbers of any size, or None.
        known: the names that have the numbers 0, 1, ...; None to find them in `names`.

    Raises:
        DataError: a name is not among the known ones.

    >>> encode_labels(["b", "a", None, "b"]).tolist()
    [0, 1, -1, 0]
    """
    listed = list(names)
    ordered = listed if known is None else known
    codes = {
        name: code for code, name in enumerate(dict.fromkeys(n for n in ordered if n is not None))
    }
    missing = [name for name in listed if name is not None and name not in codes]
    if missing:
        raise DataError(f"the label {missing[0]!r} is not among the {len(codes)} known ones")
    coded = [UNKNOWN if name is None else codes[name] for name in listed]
    return torch.tensor(coded, dtype=torch.int64)
