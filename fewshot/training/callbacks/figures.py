"""Pictures of what the model does, made while it trains."""

from collections.abc import Callable, Mapping

import numpy as np

from episodes.io.write import make_folder, write_image
from fewshot.training.run import Callback, Run


class Pictures(Callback):
    """Draws every so many steps into `pictures/`.

    Args:
        draw: returns a picture, uint8 [height width 3], of the model as it is.
        every: steps between pictures.
    """

    def __init__(self, draw: Callable[[], np.ndarray], every: int) -> None:
        if every < 1:
            raise ValueError(f"every is {every} steps; expected at least 1")
        self.draw, self.every = draw, every

    def step(self, run: Run, values: Mapping[str, float]) -> None:
        """Draw if it is time."""
        if run.step % self.every == 0:
            folder = make_folder(run.folder / "pictures")
            write_image(folder / f"step_{run.step:06d}.png", self.draw())
