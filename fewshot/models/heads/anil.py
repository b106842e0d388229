"""A linear pixel classifier that a few gradient steps fit to the support (ANIL)."""

from dataclasses import dataclass

import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn
from torch.nn import functional

from fewshot.models.heads.base import Formerly, Head, Support, register_head
from fewshot.models.learn2learn_backend import algorithms
from fewshot.models.prototypes import grid_weights


@dataclass(frozen=True)
class ANILSettings:
    """How the classifier is fitted.

    Attributes:
        steps: of gradient descent on the support.
        rate: their size. The curvature of the loss is scale² / 2 at most, so 4 / scale² never
            overshoots; the default is twice that, which is faster and held on base classes, while
            ten times as much diverged.
        first_order: whether training leaves out how the steps depend on the start.
        scale: what the classifier's outputs are multiplied with to make logits.
    """

    steps: int = 10
    rate: float = 0.02
    first_order: bool = False
    scale: float = 20.0


class PixelLinear(nn.Module):
    """One logit a position, linear in its features.

    Args:
        features: channels of the feature maps.
        scale: what the output is multiplied with; features are of unit length.
    """

    def __init__(self, features: int, scale: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(features))
        self.bias = nn.Parameter(torch.zeros(()))
        self.scale = scale

    def forward(
        self, features: Float[Tensor, "*set channel rows columns"]
    ) -> Float[Tensor, "*set rows columns"]:
        """Give the logit of the foreground against the background."""
        return self.scale * (torch.einsum("...crw,c->...rw", features, self.weight) + self.bias)


@register_head("anil", ANILSettings(), formerly=Formerly("classifier", "ClassifierSettings"))
class ANILHead(Head):
    """Learns where to start, and fits a classifier to each support set from there.

    Each way is a task of two labels: itself against its background, which has the logit 0. From
    a start at zero, one step gives the difference of the two prototypes, so that the head begins
    as a prototypical one and learns what to do better. Only this last layer is adapted; the
    encoder is trained through it.

    Args:
        settings: of the fit.
        features: channels of the feature maps.

    Paper: Raghu et al., Rapid learning or feature reuse? Towards understanding the effectiveness
    of MAML, ICLR 2020 (ANIL).
    """

    counts_features = True

    balanced = True

    def __init__(self, settings: ANILSettings | None = None, features: int = 1) -> None:
        super().__init__(settings or ANILSettings())
        self.start = PixelLinear(features, self.settings.scale)

    def encode_support(
        self,
        support_features: Float[Tensor, "batch way shot channel rows columns"],
        support_masks: UInt8[Tensor, "batch way shot height width"],
    ) -> Support:
        """Fit a classifier to each way; see `Head`."""
        rows, columns = support_features.shape[-2:]
        inside = grid_weights(support_masks == 1, rows, columns)
        outside = grid_weights(support_masks == 0, rows, columns)
        learning = torch.is_grad_enabled()  # False in inference mode, too
        weights, biases = [], []
        with torch.inference_mode(False), torch.enable_grad():
            # What inference mode made cannot be differentiated, its copies can.
            features = support_features if learning else support_features.detach().clone()
            for episode in range(len(features)):
                for way in range(features.shape[1]):
                    fitted = self._fit(
                        features[episode, way],
                        inside[episode, way].clone(),
                        outside[episode, way].clone(),
                        learning,
                    )
                    weights.append(fitted.weight if learning else fitted.weight.detach())
                    biases.append(fitted.bias if learning else fitted.bias.detach())
        shape = support_features.shape[:2]
        present = (inside.sum(dim=(2, 3, 4)) > 0).to(support_features.dtype)
        return Support(
            {
                "weight": torch.stack(weights).unflatten(0, shape),
                "bias": torch.stack(biases).unflatten(0, shape),
                "present": present,
            }
        )

    def logits(
        self, support: Support, query_features: Float[Tensor, "batch query channel rows columns"]
    ) -> Float[Tensor, "batch query label rows columns"]:
        """Apply the classifiers; see `Head`."""
        linear = torch.einsum("bqcrw,bpc->bqprw", query_features, support.tensors["weight"])
        logits = self.settings.scale * (linear + support.tensors["bias"][:, None, :, None, None])
        present = support.tensors["present"][:, None, :, None, None] > 0
        classes = torch.where(present, logits, -self.settings.scale)
        return torch.cat([torch.zeros_like(classes[:, :, :1]), classes], dim=2)

    def _fit(
        self,
        features: Float[Tensor, "shot channel rows columns"],
        inside: Float[Tensor, "shot rows columns"],
        outside: Float[Tensor, "shot rows columns"],
        learning: bool,
    ) -> PixelLinear:
        settings = self.settings
        first_order = settings.first_order or not learning
        learner = algorithms().MAML(self.start, lr=settings.rate, first_order=first_order).clone()
        for _ in range(settings.steps):
            learner.adapt(balanced_loss(learner(features), inside, outside))
        return learner.module


def balanced_loss(
    logits: Float[Tensor, "shot rows columns"],
    inside: Float[Tensor, "shot rows columns"],
    outside: Float[Tensor, "shot rows columns"],
) -> Float[Tensor, ""]:
    """Logistic loss in which foreground and background count alike.

    Args:
        logits: of the foreground.
        inside, outside: weights of the two, from `fewshot.models.prototypes.grid_weights`; unknown
            pixels are in neither.

    Returns:
        Mean over the foreground plus mean over the background, halved; an empty side costs 0.
    """
    positive = (functional.softplus(-logits) * inside).sum() / inside.sum().clamp(min=1)
    negative = (functional.softplus(logits) * outside).sum() / outside.sum().clamp(min=1)
    return (positive + negative) / 2
