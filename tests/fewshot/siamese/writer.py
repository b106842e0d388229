"""A process that changes a match index until it is killed."""

import numpy as np

from fewshot.siamese.index import FolderIndex

DIM = 6


def write_forever(folder):
    """Add, replace and delete, one commit after another; a round's state is known by its number."""
    index = FolderIndex(folder)
    generator = np.random.default_rng()
    number = max((int(key.split()[1]) for key in index.keys()), default=0)  # noqa: SIM118
    while True:
        number += 1
        vectors = np.full((8, DIM), number, np.float32) + generator.random((8, DIM), np.float32)
        keys = [f"round {number} {n}" for n in range(8)]
        old = index.keys()
        index.update(keys, vectors, [{"round": number} for _ in keys])
        index.delete(old)
        if number % 5 == 0:
            index.compact()
