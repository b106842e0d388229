"""Whitening within classes: directions in which drawings of one class differ count less."""

from collections.abc import Sequence

import numpy as np

from episodes.errors import DataError


def within_class_whitening(
    embeddings: np.ndarray, labels: Sequence[object], shrinkage: float = 1.0
) -> np.ndarray:
    """Find the matrix that makes embeddings vary alike in all directions within their classes.

    W = (S + shrinkage * mean variance * I)^(-1/2), where S is the covariance within classes.

    Args:
        embeddings: of classes other than those to be distinguished [item dim].
        labels: the class of each.
        shrinkage: how far S is drawn to a multiple of the identity, which changes nothing; above 0.

    Returns:
        Symmetric, [dim dim]; embeddings are multiplied by it.

    Raises:
        DataError: no class has two items that differ, or shrinkage is not above 0.

    Paper: Mikolajczyk and Matas, Improving descriptors for fast tree matching by optimal linear
    projection, ICCV 2007.
    """
    codes = np.unique([str(label) for label in labels], return_inverse=True)[1]
    vectors = np.asarray(embeddings, np.float64)
    sums = np.zeros((codes.max(initial=-1) + 1, vectors.shape[1]))
    np.add.at(sums, codes, vectors)
    away = vectors - (sums / np.bincount(codes)[:, None])[codes]
    covariance = away.T @ away / max(len(away), 1)
    mean = float(np.trace(covariance)) / len(covariance)
    if not mean > 0 or not shrinkage > 0:
        raise DataError(
            f"shrinkage is {shrinkage} and the mean variance within {len(sums)} classes {mean}; "
            "expected both above 0"
        )
    values, vectors = np.linalg.eigh(covariance + shrinkage * mean * np.eye(len(covariance)))
    return (vectors * values**-0.5) @ vectors.T * mean**0.5
