"""Gradient-based few-shot learning, through learn2learn: weights are adapted to the support set.

| method | what is adapted to a support set | what training learns |
|---|---|---|
| ANIL (`fewshot.models.heads.anil`) | a linear layer on the features | its start, and the encoder |
| MAML, first-order MAML | every weight | their start |
| Meta-SGD | every weight | their start and a step size for each |
| Reptile | every weight | their start, by moving towards the adapted weights |
| fine-tuning | every weight | nothing; starts from ImageNet or any trained encoder |

They segment the same episodes with the same encoder as the metric heads, and are evaluated by the
same commands, so that "gradient or metric?" is a line in a table.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional

from episodes.errors import ModelError
from fewshot.models.encoder import Encoder
from fewshot.models.heads.anil import PixelLinear, balanced_loss
from fewshot.models.heads.base import Formerly, Head, Support, register_head
from fewshot.models.heads.gradient_settings import GradientSettings
from fewshot.models.learn2learn_backend import algorithms
from fewshot.models.levels import Level
from fewshot.models.network import FewShotNetwork, NetworkSettings
from fewshot.models.precision import autocast
from fewshot.models.prototypes import grid_weights


class PixelClassifier(nn.Module):
    """Encoder and linear layer as one: images in, the logit of the foreground out."""

    def __init__(self, encoder: Encoder, linear: PixelLinear) -> None:
        super().__init__()
        self.encoder, self.linear = encoder, linear

    def forward(
        self, images: Float[Tensor, "item channel height width"]
    ) -> Float[Tensor, "item rows columns"]:
        """Give the logits at feature resolution."""
        with autocast(images.device, training=torch.is_grad_enabled()):
            features = self.encoder(images)
        return self.linear(features)


class GradientNetwork(FewShotNetwork):
    """Fits all weights to the support of each way, then segments with them.

    Each way is a task of two labels, itself against its background, which has the logit 0.

    Papers: Finn et al., Model-agnostic meta-learning, ICML 2017 (MAML and its first-order form);
    Li et al., Meta-SGD, 2017; Nichol et al., On first-order meta-learning algorithms, 2018
    (Reptile).
    """

    head: "AdaptedLayer"

    def __init__(self, settings: NetworkSettings) -> None:
        super().__init__(settings)
        method = self.head.settings
        self.rates = nn.ParameterList()
        if method.method == "meta-sgd":
            self.rates = nn.ParameterList(
                nn.Parameter(torch.full_like(weight, method.rate))
                for weight in self._model().parameters()
            )

    def _make_head(self, levels: Sequence[Level]) -> "AdaptedLayer":
        head = super()._make_head(levels)
        if not isinstance(head, AdaptedLayer):
            raise ModelError(f"head is {self.settings.head}; expected GradientSettings")
        return head

    def encode_support(
        self,
        chunks: Iterable[Float[Tensor, "chunk channel height width"]],
        masks: UInt8[Tensor, "way shot height width"],
    ) -> Support:
        """Adapt the weights to each way and keep them; see `FewShotNetwork`."""
        images = torch.cat([chunk.to(self.device) for chunk in chunks])
        tensors: dict[str, Tensor] = {}
        with torch.inference_mode(False), torch.enable_grad():
            for way, mask in enumerate(masks):
                adapted = self.adapt(images.clone(), mask.clone(), learning=False)
                for name, weight in adapted.items():
                    tensors[f"{way}.{name}"] = weight.detach()[None]
        present = (masks == 1).flatten(1).any(dim=1)
        return Support({**tensors, "present": present[None].float()})

    def logits_and_features(
        self, support: Support, images: Float[Tensor, "query channel height width"]
    ) -> tuple[Float[Tensor, "query label rows columns"], None]:
        """Segment with the adapted weights, which share no features; see `FewShotNetwork`."""
        present = support.tensors["present"][0]
        logits = []
        for way in range(len(present)):
            weights = {
                name.removeprefix(f"{way}."): tensor[0].to(self.device)
                for name, tensor in support.tensors.items()
                if name.startswith(f"{way}.")
            }
            logits.append(self._logits(weights, images.to(self.device)))
        return _join(logits, present), None

    def forward(
        self,
        support_images: Float[Tensor, "batch way shot channel height width"],
        support_masks: UInt8[Tensor, "batch way shot height width"],
        query_images: Float[Tensor, "batch query channel height width"],
    ) -> Float[Tensor, "batch query label height width"]:
        """Segment the queries of a batch of episodes; logits at image resolution."""
        learning = torch.is_grad_enabled() and not torch.is_inference_mode_enabled()
        scores = []
        for images, masks, query in zip(
            support_images.to(self.device),
            support_masks.to(self.device),
            query_images.to(self.device),
            strict=True,
        ):
            logits = []
            for shots, mask in zip(images, masks, strict=True):
                with torch.inference_mode(False), torch.enable_grad():
                    adapted = self.adapt(shots.clone(), mask.clone(), learning=learning)
                logits.append(self._logits(adapted, query))
            scores.append(_join(logits, (masks == 1).flatten(1).any(dim=1).float()))
        joined = torch.stack(scores)
        full = functional.interpolate(
            joined.flatten(0, 1), size=query_images.shape[-2:], mode="bilinear", align_corners=False
        )
        return full.unflatten(0, joined.shape[:2])

    def adapt(
        self,
        images: Float[Tensor, "shot channel height width"],
        mask: UInt8[Tensor, "shot height width"],
        *,
        learning: bool,
    ) -> dict[str, Tensor]:
        """Fit the weights to one way of a support set.

        Args:
            images, mask: the shots; 0, 1, 255 unknown.
            learning: whether the start shall be learned through the steps.

        Returns:
            The adapted weights, by name.
        """
        settings = self.head.settings
        model = self._model()
        steps = settings.steps if learning else settings.test_steps or settings.steps
        if settings.method == "fine-tuning":
            return _fine_tune(model, images, mask, steps, settings.rate)
        first_order = settings.method in ("fomaml", "reptile") or not learning
        learner = self._learner(model, first_order)
        for _ in range(steps):
            learner.adapt(_loss(learner(images), mask), first_order=first_order)
        return dict(learner.module.named_parameters())

    def _learner(self, model: nn.Module, first_order: bool) -> Any:
        library, settings = algorithms(), self.head.settings
        if settings.method != "meta-sgd":
            return library.MAML(model, lr=settings.rate, first_order=first_order).clone()
        meta = library.MetaSGD(model, lr=settings.rate, first_order=first_order, lrs=self.rates)
        return meta.clone()

    def _logits(self, weights: Mapping[str, Tensor], images: Tensor) -> Tensor:
        return functional_call(self._model(), dict(weights), (images,))

    def _model(self) -> PixelClassifier:
        return PixelClassifier(self.encoder, self.head.linear)


@register_head("fine-tuning", GradientSettings("fine-tuning", steps=20, rate=0.003))
@register_head("reptile", GradientSettings("reptile"))
@register_head("meta-sgd", GradientSettings("meta-sgd"))
@register_head("fomaml", GradientSettings("fomaml"))
@register_head("maml", GradientSettings(), formerly=Formerly("gradient", "GradientSettings"))
class AdaptedLayer(Head):
    """The linear layer behind the encoder; it is adapted with it, and gives no logits alone.

    Args:
        settings: the method.
        features: channels of the feature maps.
    """

    network = GradientNetwork
    counts_features = True
    takes_coordinates = False  # the encoder's own features are what is adapted
    not_exportable = "each support set has weights of its own, so there is no one graph"

    def __init__(self, settings: GradientSettings, features: int) -> None:
        super().__init__(settings)
        self.linear = PixelLinear(features, settings.scale)
        self.trainable = settings.method != "fine-tuning"


def _fine_tune(
    model: nn.Module, images: Tensor, mask: Tensor, steps: int, rate: float
) -> dict[str, Tensor]:
    """Adam from the present weights, which stay as they are."""
    weights = {name: w.detach().clone().requires_grad_() for name, w in model.named_parameters()}
    optimiser = torch.optim.Adam(weights.values(), lr=rate)
    for _ in range(steps):
        optimiser.zero_grad()
        _loss(functional_call(model, weights, (images,)), mask).backward()
        optimiser.step()
    return {name: weight.detach() for name, weight in weights.items()}


def _loss(logits: Tensor, mask: Tensor) -> Tensor:
    inside, outside = (grid_weights(mask == value, *logits.shape[-2:]) for value in (1, 0))
    return balanced_loss(logits, inside, outside)


def _join(logits: list[Tensor], present: Tensor) -> Tensor:
    """Put the ways beside a background of 0; a way without support is found nowhere."""
    classes = torch.stack(logits, dim=1)
    classes = torch.where(present[:, None, None] > 0, classes, -20.0)
    return torch.cat([torch.zeros_like(classes[:, :1]), classes], dim=1)
