"""Calibrated probabilities: a temperature and a bias that make stated chances come true."""

import math
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Integer
from torch import Tensor, nn
from torch.nn import functional

from episodes.errors import DataError, ModelError
from episodes.io.pixels import IGNORE
from episodes.sampling.dataloader import EpisodeBatches
from episodes.sampling.sampler import EpisodeSource


@dataclass(frozen=True)
class Calibration:
    """What logits are changed by before their softmax is taken.

    Attributes:
        temperature: what they are divided by; above 1 makes answers less sure.
        bias: added to every class afterwards, not to the background. Classes are interchangeable
            in few-shot segmentation, so a bias of their own would mean nothing.
    """

    temperature: float = 1.0
    bias: float = 0.0

    def __post_init__(self) -> None:
        if not (math.isfinite(self.temperature) and self.temperature > 0):
            raise ModelError(f"temperature is {self.temperature}; expected a number above 0")
        if not math.isfinite(self.bias):
            raise ModelError(f"bias is {self.bias}; expected a finite number")

    def __call__(
        self, logits: Float[Tensor, "*set label rows columns"]
    ) -> Float[Tensor, "*set label rows columns"]:
        """Change logits; the most probable label stays the same where the bias is 0."""
        if self == Calibration():
            return logits
        changed = logits / self.temperature
        if self.bias:
            shift = torch.full((changed.shape[-3], 1, 1), self.bias).to(changed)
            shift[0] = 0
            changed = changed + shift
        return changed


def fit_calibration(
    logits: Float[Tensor, "pixel label"], labels: Integer[Tensor, " pixel"], *, bias: bool = False
) -> Calibration:
    """Minimise the cross-entropy of calibrated logits over temperature and bias, by L-BFGS.

    The problem is convex in (1 / temperature, bias), so what is found is the minimum.

    Args:
        logits: of pixels that the segmenter was not trained on.
        labels: 0..label-1; 255 is unknown and left out.
        bias: whether the bias is fitted, too; it moves borders, a temperature alone does not.

    Returns:
        The calibration; the temperature is kept within 0.01..100, for logits that are all right
        or all wrong have no finite best one.

    Raises:
        DataError: no pixel is known.

    Paper: Guo et al., On calibration of modern neural networks, ICML 2017, section 4.2.
    """
    known = labels != IGNORE
    if not known.any():
        raise DataError("no pixel has a known label; expected some to fit a temperature to")
    values, target = logits[known].double(), labels[known].long()
    parameters = torch.tensor([1.0, 0.0], dtype=torch.float64, requires_grad=True)
    optimiser = torch.optim.LBFGS(
        [parameters], max_iter=200, tolerance_grad=1e-9, line_search_fn="strong_wolfe"
    )
    classes = torch.ones(values.shape[1], dtype=torch.float64)
    classes[0] = 0

    def loss() -> Tensor:
        optimiser.zero_grad()
        shift = parameters[1] * classes if bias else 0.0
        cost = functional.cross_entropy(values * parameters[0] + shift, target)
        cost.backward()
        return cost

    with torch.inference_mode(False), torch.enable_grad():
        optimiser.step(loss)
    slope, shift = parameters.tolist()
    return Calibration(1 / min(max(slope, 0.01), 100.0), shift if bias else 0.0)


def calibrate(
    network: nn.Module,
    source: EpisodeSource,
    episodes: int = 50,
    *,
    bias: bool = False,
    pixels: int = 2000,
    seed: int = 0,
) -> Calibration:
    """Fit a calibration to a segmenter's answers on episodes of the training subjects.

    Args:
        network: in evaluation mode; called on batches of one episode.
        source: episodes of training subjects; never of those that are tested.
        episodes: the first so many are used.
        bias: see `fit_calibration`.
        pixels: drawn from each episode; neighbours are nearly equal, and memory is finite.
        seed: of the draw.

    Raises:
        DataError: no episode has a known pixel.
    """
    found, truth = [], []
    for index in range(episodes):
        values, labels = _pixels(network, source, index, pixels, seed)
        found.append(values)
        truth.append(labels)
    if not found:
        raise DataError("0 episodes; expected at least 1 to fit a temperature to")
    return fit_calibration(torch.cat(found), torch.cat(truth), bias=bias)


@torch.inference_mode()
def _pixels(
    network: nn.Module, source: EpisodeSource, index: int, most: int, seed: int
) -> tuple[Tensor, Tensor]:
    """Draw known pixels of one episode: their logits [pixel label] and labels [pixel]."""
    batch = EpisodeBatches(source)([index])
    logits = network(batch.support_images, batch.support_masks, batch.query_images)[0].cpu()
    labels = batch.query_labels[0].flatten()
    known = (labels != IGNORE).nonzero()[:, 0].numpy()
    generator = np.random.default_rng((seed, index))
    chosen = torch.from_numpy(generator.permutation(known)[:most])
    flat = logits.movedim(1, -1).flatten(0, 2)
    return flat[chosen], labels[chosen]
