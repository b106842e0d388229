"""Watch for a collapse: all embeddings at one point, where triplet losses have no gradient."""

import warnings
from collections.abc import Mapping
from typing import Any

from fewshot.siamese.losses.triplet import TripletLoss
from fewshot.training.run import Callback, Run


class CollapseWarning(UserWarning):
    """Embeddings are collapsing to a point."""


class CollapseMonitor(Callback):
    """Warns when embeddings use too few directions, or all triplets cost just the margin.

    Hard triplets pull all embeddings together before they part them; in a collapsed batch the
    loss is the margin and its gradient exactly 0, which no library reports. After the warning, a
    triplet loss can go over to its gentler mining, once. What was seen is in `measured.jsonl`.

    Args:
        loss: goes over to its fallback; None only warns. Its margin is what the loss is compared
            with if it is a number.
        least_rank: effective rank below which embeddings count as collapsed; 1 is a single
            direction.
        near: how near the loss is to the margin, as a share of the margin, to count as collapsed
            while all triplets are active.
        patience: steps in a row that have to show it.
    """

    def __init__(
        self,
        loss: TripletLoss | None = None,
        least_rank: float = 1.5,
        near: float = 0.02,
        patience: int = 10,
    ) -> None:
        if least_rank < 1 or near < 0 or patience < 1:
            raise ValueError(
                f"least_rank is {least_rank}, near {near} and patience {patience}; expected at "
                "least 1, 0 and 1"
            )
        self.loss, self.least_rank, self.near, self.patience = loss, least_rank, near, patience
        self.seen, self.warned = 0, False

    def step(self, run: Run, values: Mapping[str, float]) -> None:
        """Count the steps that show a collapse, and act when they are enough."""
        reason = self._reason(values)
        self.seen = self.seen + 1 if reason else 0
        if self.seen < self.patience or self.warned:
            return
        self.warned = True
        action = "a smaller learning rate, a larger batch or another mining may help"
        if self.loss is not None and not self.loss.stage:
            self.loss.fall_back()
            action = f"the mining is {self.loss.mining} from now on"
        run.measure({"collapse_rank": values["effective_rank"], "collapse_loss": values["loss"]})
        warnings.warn(
            f"embeddings are collapsing at step {run.step}: {reason}; {action}",
            CollapseWarning,
            stacklevel=2,
        )

    def _reason(self, values: Mapping[str, float]) -> str:
        """Say why this step shows a collapse; "" if it does not."""
        if "effective_rank" not in values:
            raise KeyError(
                f"no effective_rank among {sorted(values)}; PairObjective gives it, so train on "
                "pairs or leave this callback out"
            )
        if values["effective_rank"] < self.least_rank:
            return f"their effective rank is {values['effective_rank']:.2f}"
        margin = self.loss.margin if self.loss is not None else None
        if not isinstance(margin, float | int) or values.get("active", 0.0) <= 0.99:
            return ""
        at_margin = abs(values["loss"] - margin) <= self.near * margin
        return f"the loss is {values['loss']:.4g}, the margin {margin:g}" if at_margin else ""

    def state(self) -> dict[str, Any]:
        """How long it was seen, and whether it was told; the loss keeps its own mining."""
        return {"seen": self.seen, "warned": self.warned}

    def restore(self, state: dict[str, Any]) -> None:
        """Take both back."""
        self.seen, self.warned = state["seen"], state["warned"]
