"""A process that starts others, which change a match index until they are killed.

It is told "go" on its input, forks a writer, prints its number, waits until the writer was killed
and says so. A fork of the tests' own process would inherit the threads of Milvus.
"""

import os
import sys
from pathlib import Path

import numpy as np

from episodes.optional import import_optional
from fewshot.siamese.retrieval.folder_index import FolderIndex

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


if __name__ == "__main__":
    FolderIndex(Path(sys.argv[1])).check()  # imports what the writers need, once
    import_optional("pyarrow.compute", "match")
    for _ in sys.stdin:
        child = os.fork()
        if child == 0:
            write_forever(Path(sys.argv[1]))
        print(child, flush=True)
        os.waitpid(child, 0)
        print("dead", flush=True)
