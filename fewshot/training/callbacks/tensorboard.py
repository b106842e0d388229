"""The log for TensorBoard."""

from collections.abc import Mapping
from typing import Any

from episodes.errors import FewshotError
from fewshot.training.run import Callback, Run


class TensorBoard(Callback):
    """Writes losses, rates and scores for `tensorboard --logdir FOLDER`.

    Raises:
        FewshotError: TensorBoard is not installed.
    """

    state_name = "Board"  # of the states of earlier versions

    def __init__(self) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError as error:
            raise FewshotError(
                "TensorBoard is not installed; pip install 'fewshot-segmentation[train]'"
            ) from error
        self._make: Any = SummaryWriter
        self._writer: Any = None

    def on_start(self, run: Run) -> None:
        """Open the log; a resumed run drops the entries after its checkpoint."""
        self._writer = self._make(str(run.folder / "tensorboard"), purge_step=run.step + 1)

    def on_step_end(self, run: Run, values: Mapping[str, float]) -> None:
        """Write losses and rates."""
        self._write("train", run, values)

    def on_validation(self, run: Run, values: Mapping[str, float]) -> None:
        """Write scores."""
        self._write("score", run, values)

    def on_end(self, run: Run) -> None:
        """Close the log."""
        self._writer.close()

    def _write(self, group: str, run: Run, values: Mapping[str, float]) -> None:
        for name, value in values.items():
            self._writer.add_scalar(f"{group}/{name}", value, run.step)
