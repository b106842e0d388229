"""Test-time adaptation: a few steps on the support alone before the query is looked at."""

import copy
import math
import time
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn

from episodes.augmentation.compose import Augment
from episodes.errors import FewshotError, ModelError
from episodes.sampling.sampler import binary_mask
from fewshot.inference.preprocess import fit_images, fit_masks
from fewshot.inference.segmenter import Segmenter
from fewshot.inference.support_set import SupportSet
from fewshot.losses.episode_cross_entropy import segmentation_loss
from fewshot.models.meta_learning import GradientNetwork
from fewshot.models.network import FewShotNetwork

Part = Literal["norms", "all"]


@dataclass(frozen=True)
class TestTimeSettings:
    """How long, how far and what is adapted.

    Attributes:
        steps: of Adam, at most.
        seconds: no step begins later than this after the first; 0 sets no limit.
        rate: of Adam.
        part: norms changes scales and shifts of the normalisation layers (and the head's own
            weights), a few thousand numbers that a few pictures cannot bend far; all changes
            every weight.
        queries: pseudo-queries a step.
        seed: of the augmentation.
    """

    steps: int = 20
    seconds: float = 0.0
    rate: float = 1e-3
    part: Part = "norms"
    queries: int = 2
    seed: int = 0

    __test__ = False  # its name begins like a test's, but it is none

    def __post_init__(self) -> None:
        for name, least in (("steps", 0), ("queries", 1), ("seconds", 0.0), ("seed", 0)):
            value = getattr(self, name)
            if not (math.isfinite(value) and value >= least):
                raise FewshotError(f"{name} is {value}; expected at least {least}")
        if not (math.isfinite(self.rate) and self.rate > 0):
            raise FewshotError(f"rate is {self.rate}; expected more than 0")


def adapt_to_support(
    network: FewShotNetwork,
    images: Float[Tensor, "shot channel height width"],
    masks: UInt8[Tensor, "way shot height width"],
    settings: TestTimeSettings | None = None,
) -> FewShotNetwork:
    """Train a copy of a network on pseudo-episodes made of one support set.

    Each step draws shots as pseudo-queries and augments them; the other shots (or the shot itself,
    of one alone), augmented anew, are the support. The loss is that of training. The query to be
    segmented is not needed and its label never seen; supports have to be learned again with the
    copy, because its features differ.

    Args:
        network: stays as it is.
        images, masks: the support in its square; 0, 1, 255 unknown.
        settings: by default 20 steps. The result depends on the seed alone where the steps, not
            the seconds, are what ends it.

    Returns:
        The adapted copy, in evaluation mode.

    Raises:
        ModelError: the segmenter fits its weights to each support by itself.
    """
    settings = settings or TestTimeSettings()
    if isinstance(network, GradientNetwork):
        raise ModelError(
            f"{network.head.settings.method} adapts to every support already; set its "
            "test_steps instead"
        )
    with torch.inference_mode(False), torch.enable_grad():
        adapted = copy.deepcopy(network).train()
        chosen = _chosen(adapted, settings.part)
        optimiser = torch.optim.Adam(chosen, lr=settings.rate)
        images, masks = images.clone(), masks.clone()
        start = time.monotonic()
        for step in range(settings.steps):
            if settings.seconds and time.monotonic() - start >= settings.seconds:
                break
            generator = np.random.default_rng((settings.seed, step))
            loss = _loss(adapted, *_pseudo_episode(images, masks, settings.queries, generator))
            optimiser.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(chosen, 1.0)
            optimiser.step()
    for weight, before in zip(adapted.parameters(), network.parameters(), strict=True):
        weight.requires_grad_(before.requires_grad)
        weight.grad = None
    return adapted.eval()


def adapt_to_shots(
    segmenter: Segmenter,
    shots: SupportSet,
    settings: TestTimeSettings | None = None,
    *,
    size: int | None = None,
) -> Segmenter:
    """Adapt to annotated images.

    `fewshot.inference.support_set.read_support_set` reads them. See `adapt_to_support`.
    """
    size = size or segmenter.size_for(shots)
    adapted = adapt_to_support(
        segmenter.network,
        torch.cat(list(fit_images(shots, size))),
        fit_masks(shots, size),
        settings,
    )
    return Segmenter(adapted)


def _chosen(network: FewShotNetwork, part: Part) -> list[nn.Parameter]:
    """Pick the weights that move; all others get no gradient."""
    if part == "all":
        return list(network.parameters())
    network.encoder.requires_grad_(False)
    kinds = (nn.modules.batchnorm._BatchNorm, nn.LayerNorm, nn.GroupNorm)
    norms = [module for module in network.encoder.modules() if isinstance(module, kinds)]
    chosen = [weight for norm in norms for weight in norm.parameters(recurse=False)]
    for weight in chosen:
        weight.requires_grad_(True)
    return chosen + list(network.head.parameters())


def _pseudo_episode(
    images: Tensor, masks: Tensor, queries: int, generator: np.random.Generator
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Draw support images and masks, query images and labels, from the support set alone.

    Returns:
        [shot channel height width], [way shot height width], [query channel height width],
        [query height width].
    """
    count = len(images)
    asked = generator.integers(count, size=queries)
    given = [shot for shot in range(count) if count == 1 or shot not in asked] or [int(asked[0])]
    labels = _labels(masks)
    change = Augment()
    query = [change(images[shot], labels[shot], generator) for shot in asked]
    support = [change(images[shot], labels[shot], generator) for shot in given]
    found = torch.stack([label for _, label in support])
    shown = torch.stack([binary_mask(found, way) for way in range(1, len(masks) + 1)])
    return (
        torch.stack([image for image, _ in support]),
        shown,
        torch.stack([image for image, _ in query]),
        torch.stack([label for _, label in query]),
    )


def _loss(
    network: FewShotNetwork, images: Tensor, masks: Tensor, queries: Tensor, labels: Tensor
) -> Tensor:
    """Score pseudo-queries; features are encoded once for all ways."""
    features = network.encode(torch.cat([images, queries]))
    given, asked = features[: len(images)], features[len(images) :]
    shared = given[None, None].expand(1, len(masks), *given.shape)
    support = network.head.encode_support(shared, masks[None].to(features.device))
    logits = network.head.logits(support, asked[None])
    return segmentation_loss(logits, labels[None].to(features.device))


def _labels(masks: UInt8[Tensor, "way shot height width"]) -> UInt8[Tensor, "shot height width"]:
    """Put the ways' masks into one label image: 255 where no way and not all backgrounds say so."""
    labels = torch.full(masks.shape[1:], 255, dtype=torch.uint8)
    labels[(masks == 0).all(dim=0)] = 0
    for way, mask in enumerate(masks, start=1):
        labels[mask == 1] = way
    return labels
