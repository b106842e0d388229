"""What every score accepts: NumPy arrays, nested lists and torch tensors, checked alike."""

import sys
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fewshot.ignored import DEFAULT, black_white, is_black_white


def as_array(values: Any) -> NDArray[Any]:
    """Bring an array, a nested list or a torch tensor to NumPy without importing torch.

    Args:
        values: anything that ``numpy.asarray`` takes, or a torch tensor on any device.

    Returns:
        The same numbers; a view where that is possible. bfloat16 becomes float32.

    Example:
        >>> as_array([[0, 1], [1, 1]]).shape
        (2, 2)
    """
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(values, torch.Tensor):
        values = values.detach().cpu()
        return (values.float() if values.dtype == torch.bfloat16 else values).numpy()
    return np.asarray(values)


def as_labels(values: Any, name: str) -> NDArray[Any]:
    """Bring labels to an integer or boolean NumPy array.

    Args:
        values: labels of any shape.
        name: what to call them in an error.

    Returns:
        An array with an integer dtype; booleans become uint8.

    Raises:
        TypeError: the values are neither integers nor booleans.

    Example:
        >>> as_labels([True, False], "mask")
        array([1, 0], dtype=uint8)
    """
    array = as_array(values)
    if array.dtype == bool:
        return array.view(np.uint8)
    if array.size == 0 and array.dtype == np.float64:
        return array.astype(np.uint8)  # what NumPy makes of an empty list
    if array.dtype.kind not in "iu":
        raise TypeError(
            f"{name} has dtype {array.dtype}, expected integer or boolean labels; "
            "take the argmax or the threshold first"
        )
    return array


def as_label_pair(labels: Any, reference: Any) -> tuple[NDArray[Any], NDArray[Any]]:
    """Bring predicted and reference labels to NumPy and check that the shapes agree.

    Args:
        labels: predicted labels, any shape.
        reference: reference labels of the same shape.

    Returns:
        The two arrays.

    Raises:
        ValueError: the shapes differ.
        TypeError: one of them does not hold integers.

    Example:
        >>> [array.shape for array in as_label_pair([0, 1], [1, 1])]
        [(2,), (2,)]
    """
    first, second = as_labels(labels, "labels"), as_labels(reference, "reference")
    if first.shape != second.shape:
        raise ValueError(
            f"labels have shape {first.shape} and reference has shape {second.shape}; "
            "resample the labels to the grid of the reference first"
        )
    return first, second


def refuse_black_white(
    labels: NDArray[Any], reference: NDArray[Any], class_index: int, ignore_index: int | None
) -> None:
    """Raise where a mask of 0 and 255 was given and the score is of another class.

    Args:
        labels: predicted labels; they have no unknown pixels, so 255 is refused in any case.
        reference: reference labels.
        class_index: the class whose mask is compared.
        ignore_index: as the caller gave it, or `fewshot.ignored.DEFAULT`.

    Raises:
        ValueError: labels, or the reference, hold nothing but 0 and 255.

    >>> mask = np.array([[0, 1], [0, 1]])
    >>> refuse_black_white(mask, mask, 1, DEFAULT)
    """
    for name, values, told in (
        ("labels", labels, DEFAULT),
        ("reference", reference, ignore_index),
    ):
        if class_index == 255 or told is not DEFAULT or not values.size or values.max() != 255:
            continue
        zeros, whites = int((values == 0).sum()), int((values == 255).sum())
        if is_black_white(told, zeros + whites < values.size, zeros, values.size):
            raise black_white(name)
