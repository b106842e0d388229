import pytest
import torch

from episodes.errors import DataError
from fewshot.siamese.pair_masks import encode_labels, make_pair_masks


def test_labels_above_two_to_the_24_stay_apart():
    """float32, into which pytorch-metric-learning casts labels, merges these two."""
    labels = torch.tensor([2**24, 2**24 + 1, 2**62, 2**62 + 1, 2**24])
    assert labels.float().unique().numel() == 2
    found = make_pair_masks(labels)
    assert found.positives.nonzero().tolist() == [[0, 4], [4, 0]]
    assert found.negatives.sum() == 5 * 4 - 2


def test_no_item_is_its_own_positive_and_unknown_ones_are_in_no_pair():
    found = make_pair_masks(torch.tensor([3, -1, 3, -1, 5]))
    assert found.positives.nonzero().tolist() == [[0, 2], [2, 0]]
    assert not found.positives[[1, 3]].any()
    assert not found.negatives[[1, 3]].any()
    assert not found.negatives[:, [1, 3]].any()
    across = make_pair_masks(torch.tensor([3, -1]), torch.tensor([3, -1, 4]))
    assert across.positives.tolist() == [[True, False, False], [False, False, False]]
    assert across.negatives.tolist() == [[False, False, True], [False, False, False]]


def test_names_of_any_kind_become_numbers():
    names = ["p" * 1000, "p" * 1000 + "q", None, 2**80, 2**80 + 1, "p" * 1000]
    assert encode_labels(names).tolist() == [0, 1, -1, 2, 3, 0]
    assert encode_labels(["b", None], known=["a", "b"]).tolist() == [1, -1]
    with pytest.raises(DataError, match="'c' is not among the 2"):
        encode_labels(["c"], known=["a", "b"])


@pytest.mark.parametrize("dtype", [torch.float32, torch.int32])
def test_labels_have_to_be_int64(dtype):
    exact = torch.tensor([1, 2])
    for labels in ((exact.to(dtype),), (exact, exact.to(dtype))):
        with pytest.raises(DataError, match="expected int64"):
            make_pair_masks(*labels)
