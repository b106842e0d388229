"""What every head is: it encodes a support set once, and gives logits for every query."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from jaxtyping import Float, UInt8
from torch import Tensor, nn

from fewshot.models.scale import AnnotatedScale


@dataclass(frozen=True)
class Support:
    """A condensed support set: an immutable value that can be saved.

    Attributes:
        tensors: what the head needs, by name; the first axis is the batch of episodes.
        class_names: the class of each way.
        values: the number that stands for each way in mask files.
        model: fingerprint of the segmenter that made it; "" for none in particular.
        size: side of the square in which its images were compared, in pixels; 0 if unknown.
        shots: what refinement and confidence look at: "masks" [way shot rows columns] and, of
            heads that work on features, "features" [shot channel rows columns] of a few shots;
            empty if unknown. `logits` never does.
        mirrored: the same of the mirrored images and masks; None if it was not asked for.
        annotated: how large the annotated structures are; None if unknown.
    """

    tensors: Mapping[str, Tensor] = field(repr=False)
    class_names: tuple[str, ...] = ()
    values: tuple[int, ...] = ()
    model: str = ""
    size: int = 0
    shots: Mapping[str, Tensor] = field(default_factory=dict, repr=False)
    mirrored: "Support | None" = field(default=None, repr=False)
    annotated: AnnotatedScale | None = None


class Head(nn.Module):
    """Labels query features by their likeness to a support set; keeps no state between calls.

    Attributes:
        balanced: whether training weighs the labels of an episode alike, whatever their area; so
            for heads whose fit to the support is balanced.
        class_weights: of the background and of the classes in the training loss, the alignment
            included, where the head's paper has some.
    """

    balanced: bool = False
    class_weights: tuple[float, float] | None = None

    def encode_support(
        self,
        support_features: Float[Tensor, "batch way shot channel rows columns"],
        support_masks: UInt8[Tensor, "batch way shot height width"],
    ) -> Support:
        """Reduce support features and masks {0, 1, 255 unknown} to what `logits` needs."""
        raise NotImplementedError

    def logits(
        self, support: Support, query_features: Float[Tensor, "batch query channel rows columns"]
    ) -> Float[Tensor, "batch query label rows columns"]:
        """Give logits at feature resolution; label 0 is background, 1..way the classes."""
        raise NotImplementedError

    def auxiliary_loss(
        self, support: Support, query_features: Float[Tensor, "batch query channel rows columns"]
    ) -> Float[Tensor, ""] | None:
        """Give what the paper adds to the training loss, as a mean over episodes; None for nothing.

        Args:
            support, query_features: as in `logits`.
        """
        return None
