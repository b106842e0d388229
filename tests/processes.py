"""Processes that start with torch and the package imported, which costs seconds in each."""

import multiprocessing

PROCESSES = multiprocessing.get_context("forkserver")
"""Starts processes without the threads of the tests' own process, as "spawn" does."""

PROCESSES.set_forkserver_preload(
    [
        *("torch.distributed", "accelerate", "timm", "hypothesis", "pytest"),
        *("fewshot.training.loop", "fewshot.siamese.objective", "fewshot.metrics.accumulate"),
    ]
)
