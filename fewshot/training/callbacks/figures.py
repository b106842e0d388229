"""Figures of the model's predictions during training."""

from collections.abc import Callable, Mapping

import numpy as np

from episodes.io.write import make_folder, write_image
from fewshot.training.run import Callback, Run


class Figures(Callback):
    """Draws a figure every `every` steps, into `pictures/`.

    Args:
        draw: returns a figure of the current model, uint8 [height width 3].
        every: steps between figures.
    """

    state_name = "Pictures"  # of the states of earlier versions

    def __init__(self, draw: Callable[[], np.ndarray], every: int) -> None:
        if every < 1:
            raise ValueError(f"every is {every} steps; expected at least 1")
        self.draw, self.every = draw, every

    def on_step_end(self, run: Run, values: Mapping[str, float]) -> None:
        """Draw if it is due."""
        if run.step % self.every == 0:
            folder = make_folder(run.folder / "pictures")
            write_image(folder / f"step_{run.step:06d}.png", self.draw())
