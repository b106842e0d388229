"""Detects a collapse: all embeddings at one point, where triplet losses have no gradient."""

import warnings
from collections.abc import Mapping
from typing import Any

from fewshot.siamese.losses.triplet import TripletLoss
from fewshot.training.run import Callback, Run


class CollapseWarning(UserWarning):
    """Embeddings are collapsing to a point."""


class CollapseMonitor(Callback):
    """Warns when the effective rank is low, or the loss of all triplets equals the margin.

    Hard triplets can contract all embeddings; in a collapsed batch the loss is the margin and its
    gradient exactly 0. After the warning, a triplet loss can switch once to its fallback mining.
    The values are recorded in `measured.jsonl`.

    Args:
        loss: switches to its fallback; None only warns. The loss is compared with its margin if
            that is a number.
        min_rank: effective rank below which embeddings count as collapsed; 1 is a single
            direction.
        near: largest distance of the loss from the margin, as a fraction of the margin, that
            counts as collapsed while all triplets are active.
        patience: number of consecutive collapsed steps before the warning.
    """

    def __init__(
        self,
        loss: TripletLoss | None = None,
        min_rank: float = 1.5,
        near: float = 0.02,
        patience: int = 10,
    ) -> None:
        if min_rank < 1 or near < 0 or patience < 1:
            raise ValueError(
                f"min_rank is {min_rank}, near {near} and patience {patience}; expected at "
                "least 1, 0 and 1"
            )
        self.loss, self.min_rank, self.near, self.patience = loss, min_rank, near, patience
        self.seen, self.warned = 0, False

    def on_step_end(self, run: Run, values: Mapping[str, float]) -> None:
        """Count consecutive collapsed steps, and warn after `patience` of them."""
        reason = self._reason(values)
        self.seen = self.seen + 1 if reason else 0
        if self.seen < self.patience or self.warned:
            return
        self.warned = True
        action = "a smaller learning rate, a larger batch or another mining may help"
        if self.loss is not None and not self.loss.stage:
            self.loss.fall_back()
            action = f"the mining is {self.loss.mining} from now on"
        run.report_scores(
            {"collapse_rank": values["effective_rank"], "collapse_loss": values["loss"]}
        )
        warnings.warn(
            f"embeddings are collapsing at step {run.step}: {reason}; {action}",
            CollapseWarning,
            stacklevel=2,
        )

    def _reason(self, values: Mapping[str, float]) -> str:
        """Reason why this step is collapsed; "" if it is not."""
        if "effective_rank" not in values:
            raise KeyError(
                f"no effective_rank among {sorted(values)}; PairObjective returns it, so train on "
                "pairs or leave this callback out"
            )
        if values["effective_rank"] < self.min_rank:
            return f"their effective rank is {values['effective_rank']:.2f}"
        margin = self.loss.margin if self.loss is not None else None
        if not isinstance(margin, float | int) or values.get("active", 0.0) <= 0.99:
            return ""
        at_margin = abs(values["loss"] - margin) <= self.near * margin
        return f"the loss is {values['loss']:.4g}, the margin {margin:g}" if at_margin else ""

    def state(self) -> dict[str, Any]:
        """Number of collapsed steps, and whether a warning was given; the loss saves its mining."""
        return {"seen": self.seen, "warned": self.warned}

    def restore(self, state: dict[str, Any]) -> None:
        """Take both back."""
        self.seen, self.warned = state["seen"], state["warned"]
