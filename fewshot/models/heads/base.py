"""What every head is: it encodes a support set once, and gives logits for every query."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, is_dataclass
from typing import Any, ClassVar, NamedTuple, Protocol, TypeVar, runtime_checkable

from jaxtyping import Float, UInt8
from torch import Tensor, nn

from episodes.errors import ModelError
from fewshot.models.levels import Level
from fewshot.models.scale import AnnotatedScale
from fewshot.registry import HEADS


@runtime_checkable
class HeadSettings(Protocol):
    """Settings of a head: a frozen dataclass of numbers, strings, truth values and tuples."""

    __dataclass_fields__: ClassVar[dict[str, Any]]


@dataclass(frozen=True)
class Support:
    """A condensed support set: an immutable value that can be saved.

    Attributes:
        tensors: what the head needs, by name; the first axis is the batch of episodes.
        class_names: the class of each way.
        values: the number that stands for each way in mask files.
        model: fingerprint of the segmenter that made it; "" for none in particular.
        size: side of the square in which its images were compared, in pixels; 0 if unknown.
        shots: for post-processing and query similarity: "masks" [way shot rows columns] and, of
            heads that work on features, "features" [shot channel rows columns] of a few shots;
            empty if unknown. `logits` never does.
        mirrored: the same of the mirrored images and masks; None if it was not requested.
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

    Args:
        settings: of the head.

    Attributes:
        balanced: whether training weighs the labels of an episode alike, whatever their area; so
            for heads whose fit to the support is balanced.
        class_weights: of the background and of the classes in the training loss, the alignment
            included, where the head's paper has some.
        trainable: whether training on episodes changes the network, be it the head or the encoder
            in front of it.
        takes_coordinates: whether the features may have coordinates among them.
        not_exportable: why there can be no ONNX graph of the head; "" where there can.
        counts_features: whether it has weights for each channel of the features, whose number its
            constructor then takes after the settings.
        network: the kind of network that the head belongs to; None for `FewShotNetwork`.
    """

    balanced: bool = False
    class_weights: tuple[float, float] | None = None
    trainable: bool = True
    takes_coordinates: bool = True
    not_exportable: str = ""
    counts_features: ClassVar[bool] = False
    network: ClassVar[type | None] = None

    def __init__(self, settings: Any = None) -> None:
        super().__init__()
        self.settings = settings

    @classmethod
    def build(cls, settings: Any, levels: Sequence[Level]) -> "Head":
        """Make the head for an encoder that fuses these levels."""
        features = sum(level.features for level in levels)
        # The constructors of heads differ; those that count features take their number.
        made: Any = cls
        return made(settings, features) if cls.counts_features else made(settings)

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


class Formerly(NamedTuple):
    """What earlier versions called a head.

    Attributes:
        tag: in saved files, which still load.
        settings: name of the settings' class. It is part of `FewShotNetwork.fingerprint`, which
            supports and galleries of earlier versions have to fit.
    """

    tag: str
    settings: str


@dataclass(frozen=True)
class HeadEntry:
    """What the name of a head stands for.

    Attributes:
        name: the tag in saved files, which names of other values of the same settings share.
        settings: those that the name stands for.
        head: the class that is built from them.
        formerly: earlier names.
    """

    name: str
    settings: HeadSettings
    head: type[Head]
    formerly: Formerly | None = None

    def signature(self, settings: HeadSettings) -> str:
        """Return the settings as they enter a network's fingerprint."""
        text = repr(settings)
        if self.formerly is None:
            return text
        return self.formerly.settings + text.removeprefix(type(settings).__qualname__)


HeadClass = TypeVar("HeadClass", bound=type[Head])


def register_head(
    name: str, settings: HeadSettings, *, formerly: Formerly | None = None
) -> Callable[[HeadClass], HeadClass]:
    """Return a decorator that gives a head its name on the command line and in saved files.

    Of several decorators of a head, the one nearest to the class gives the tag in saved files; the
    others name further values of the same settings.

    Args:
        name: of these settings of the head.
        settings: an instance of the head's settings, of a frozen dataclass of its own.
        formerly: what earlier versions called it.

    Raises:
        FewshotError: the name is taken.
        ModelError: the settings are no instance of a frozen dataclass, or are those of another
            head.
    """
    kind = type(settings)
    if not is_dataclass(kind) or not kind.__dataclass_params__.frozen:  # type: ignore[attr-defined]
        raise ModelError(
            f"the settings of head {name!r} are {settings!r}; expected an instance of a frozen "
            "dataclass, such as MySettings()"
        )

    reserved = {"kind", "plugin"} & set(kind.__dataclass_fields__)
    if reserved:
        raise ModelError(
            f"{kind.__name__} has the field {sorted(reserved)[0]!r}, which saved files use for the "
            "head's name and plugin; rename it"
        )

    def add(head: HeadClass) -> HeadClass:
        same = (each for each in HEADS.registered().values() if type(each.settings) is kind)
        first = next(same, None)
        if first is not None and first.head.__qualname__ != head.__qualname__:
            raise ModelError(
                f"{kind.__name__} are the settings of the head {first.name}; give {name!r} "
                "settings of its own"
            )
        entry = HeadEntry(first.name if first else name, settings, head, formerly)
        HEADS.add(name, entry, head)
        return head

    return add


def find_entry(settings: HeadSettings) -> HeadEntry | None:
    """Find what settings are registered as; None if they are not."""
    return find_head(lambda entry: type(entry.settings) is type(settings))


def head_name(settings: HeadSettings) -> str:
    """Return the name of these very settings, or else of their head.

    Raises:
        ModelError: they are not registered.
    """
    head_entry(settings)  # what is registered under several names is there now
    return next(
        (name for name, entry in HEADS.registered().items() if entry.settings == settings),
        head_entry(settings).name,
    )


def find_head(fits: Callable[[HeadEntry], bool]) -> HeadEntry | None:
    """Return the first head that fits, of those in use or else of all of this project."""
    found = next(filter(fits, HEADS.registered().values()), None)
    if found is None:
        HEADS.load()
        found = next(filter(fits, HEADS.registered().values()), None)
    return found


def head_entry(settings: HeadSettings) -> HeadEntry:
    """Return what settings are registered as, under the name that is their tag in saved files.

    Raises:
        ModelError: they are not registered.
    """
    entry = find_entry(settings)
    if entry is None:
        raise ModelError(
            f"{settings!r} belong to no registered head; decorate the head with "
            '@register_head("its-name", ITS_SETTINGS)'
        )
    return entry


def build_head(settings: HeadSettings, levels: Sequence[Level]) -> Head:
    """Make the head that the settings describe, for an encoder that fuses these levels.

    Raises:
        ModelError: the settings are of no registered head.
    """
    return head_entry(settings).head.build(settings, levels)
