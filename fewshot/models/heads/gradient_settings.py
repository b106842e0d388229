"""Settings of the methods that adapt every weight to the support set."""

from dataclasses import dataclass
from typing import Literal

Method = Literal["fine-tuning", "maml", "fomaml", "meta-sgd", "reptile"]


@dataclass(frozen=True)
class GradientSettings:
    """How the weights are adapted.

    Measured on base classes: gradient descent overshoots from a rate of 0.03 on, and Adam, which
    fine-tuning uses, from 0.01 on.

    Attributes:
        method: see `fewshot.models.meta_learning`.
        steps: of gradient descent on the support.
        rate: their size; Meta-SGD learns one a weight, starting here.
        test_steps: steps at test time; 0 for as many as in training.
        scale: what the classifier's outputs are multiplied with to make logits.
    """

    method: Method = "maml"
    steps: int = 3
    rate: float = 0.01
    test_steps: int = 0
    scale: float = 20.0
