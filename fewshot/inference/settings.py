"""Choices of inference that commands offer; importable without torch."""

from typing import Literal

Ensemble = Literal["probabilities", "logits", "weighted", "majority"]
"""How the predictions by several supports become one, see `fewshot.inference.ensemble`."""
