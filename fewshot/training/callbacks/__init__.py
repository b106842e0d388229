"""Callbacks watch a run, and may act on it, at named moments; see `fewshot.training.run`."""
