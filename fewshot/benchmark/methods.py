"""What a method's name stands for: a recipe, a head on some encoder, or a baseline."""

import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from episodes.errors import FewshotError, ModelError
from fewshot import recipes
from fewshot.benchmark.settings import Benchmark
from fewshot.evaluation.confusion_counts import CasePredictor, GroundTruth
from fewshot.evaluation.protocol_predictor import ProtocolPredictor
from fewshot.experiments.options import Train
from fewshot.experiments.train import network_settings
from fewshot.inference.predictors.build import build_predictor, needs_network
from fewshot.models.checkpoint import build_network, load_network
from fewshot.models.levels import strides_of
from fewshot.models.network import FewShotNetwork
from fewshot.registry import BASELINES, HEADS, PREDICTORS

COPY_MASK, FEATURE_GRID = "copy-mask", "feature-grid"
ALWAYS = (COPY_MASK, FEATURE_GRID)
"""Baselines that every table has."""
UNTRAINED = "untrained-"
SHARED_ENCODER = "+"
"""Between a recipe and a head that is put on the recipe's encoder."""
TRAINED_WITH = "@"
"""Between a recipe and a head that is trained as the recipe trains its own."""


@dataclass(frozen=True)
class Recipe:
    """A method of the table that has a network.

    Attributes:
        name: as typed.
        command: its head, backbone and size.
        trainer: name of the recipe that is trained for it, often its own; "" for none.
        training: the command that trains that one; None for none.
        test: settings that act at test time alone.
        among: values of some of them, among which every model chooses on its training scans.
    """

    name: str
    command: Train
    trainer: str = ""
    training: Train | None = None
    test: Mapping[str, Any] = field(default_factory=dict)
    among: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)


def read_recipe(name: str, budget: Benchmark) -> Recipe:
    """Read the name of a method that has a network.

    Args:
        name: of a recipe; "untrained-" and a head; a recipe, "+" and a head, which then answers in
            the place of the recipe's own: weights of its own stay as they were made; or a recipe,
            "@" and a head, which is trained in the place of the recipe's own.
        budget: its minutes, steps, batch and size replace the recipes'.

    Raises:
        FewshotError: there is no such method; the message names the nearest. Or its head adapts
            the encoder to every support.
    """
    base, joined, other = _parts(name)
    head = other if joined else name.removeprefix(UNTRAINED)
    _check_known(name, base, joined, head)
    if name.startswith(UNTRAINED):
        recipe = Recipe(name, _with_budget(Train(Path(), head=head), budget))
    else:
        command, trainer = recipes.command(base), recipes.trained_by(base)
        training = recipes.command(trainer)
        if joined:
            command = replace(command, head=other)
        if joined == TRAINED_WITH:
            trainer, training = name, command
        recipe = Recipe(
            *(name, _with_budget(command, budget), trainer),
            training=_with_budget(training, budget),
            test=recipes.settings_at_test(base),
            among=recipes.choices_at_test(base),
        )
    if recipe.command.head not in _heads():
        raise FewshotError(
            f"{name} adapts the encoder to every support set, which the counting of protocols "
            f"does not do; choose a head of {', '.join(_heads())}"
        )
    return recipe


def _heads() -> list[str]:
    """Name the heads that work on features alone, which counting needs."""
    return [name for name, entry in HEADS.parts().items() if entry.head.network is None]


def _parts(name: str) -> tuple[str, str, str]:
    """Cut a name into recipe, sign and head; without a sign the other two are empty."""
    sign = next((each for each in (SHARED_ENCODER, TRAINED_WITH) if each in name), SHARED_ENCODER)
    return name.partition(sign)


def _check_known(name: str, base: str, joined: str, head: str) -> None:
    heads = _heads()
    known = [*recipes.names("train"), *(UNTRAINED + head for head in heads)]
    fits = base in recipes.names("train") and head in heads if joined else name in known
    if fits or (head in HEADS and head not in heads):
        return
    others = [*BASELINES.names(), *PREDICTORS.names_in("fewshot.baselines")]
    near = difflib.get_close_matches(name, [*known, *others], n=1, cutoff=0.3) or known
    raise FewshotError(
        f"there is no method {name!r}; did you mean {near[0]!r}? Expected a recipe (`fewshot "
        f"recipes`), a baseline (docs/baselines.md), {UNTRAINED}HEAD, or "
        f"RECIPE{SHARED_ENCODER}HEAD (its encoder) or RECIPE{TRAINED_WITH}HEAD (trained as it is) "
        f"with a head of {', '.join(heads)}"
    )


def _with_budget(command: Train, budget: Benchmark) -> Train:
    """Give every method the same budget, where the command names one."""
    train = command.train
    if budget.minutes is not None or budget.steps is not None:
        train = replace(train, minutes=budget.minutes or 0.0, steps=budget.steps or 0)
    if budget.batch is not None:
        train = replace(train, batch=budget.batch)
    size = command.size if budget.size is None else budget.size
    return replace(command, train=train, size=size)


def grid_of(found: Sequence[Recipe]) -> tuple[int, int]:
    """Size of the square and stride of the first method, in pixels; those of a default without."""
    command = found[0].command if found else Train(Path())
    return command.size, min(strides_of(command.backbone, command.strides))


def is_baseline(name: str) -> bool:
    """Whether a method has no network: a registered baseline, or a predictor that needs none."""
    return name in BASELINES or (name in PREDICTORS and not needs_network(name))


def baselines_of(names: Iterable[str]) -> list[str]:
    """List the baselines of a table: those that are always there and those named."""
    return list(dict.fromkeys([*ALWAYS, *(name for name in names if is_baseline(name))]))


def build_baseline(name: str, grid: tuple[int, int], truth: GroundTruth) -> CasePredictor:
    """Make a baseline, such as copy-mask, the ceiling of a feature grid, or a classical method."""
    if name in BASELINES:
        return BASELINES[name](truth, *grid)
    return ProtocolPredictor(truth, build_predictor(None, name))


def build_method(
    recipe: Recipe,
    network: FewShotNetwork,
    truth: GroundTruth,
    *,
    like: ProtocolPredictor | None = None,
) -> ProtocolPredictor:
    """Make what is scored: here a recipe's test-time settings take effect.

    Args:
        recipe: its `test` has the name of a "predictor", by default "slice", and its settings, see
            `fewshot.inference.predictors.build`.
        network: trained.
        truth: of the catalog.
        like: a method of the same segmenter and catalog; what it remembers is used.

    Raises:
        FewshotError: a setting is unknown, or out of its range.
    """
    settings = dict(recipe.test)
    name = settings.pop("predictor", "slice")
    try:
        predictor = build_predictor(network, name, settings)
    except ModelError as error:
        raise ModelError(f"recipe {recipe.name} has TEST settings {settings}; {error}") from None
    method = ProtocolPredictor(truth, predictor)
    if like is not None:
        method.share_cache(like)
    return method


def load_for(recipe: Recipe, folder: Path | None) -> FewShotNetwork:
    """Load a trained segmenter and give it the head and size of the recipe.

    Args:
        recipe: may have another head than the one trained.
        folder: of the trained model; None builds ImageNet features.

    Raises:
        ModelError: the recipe has another backbone than the one that was trained for it.
    """
    wanted = network_settings(recipe.command)
    if folder is None:
        return build_network(wanted)
    trained = load_network(folder)
    encoder = trained.settings.encoder
    if recipe.command.model is None and (encoder.name, encoder.strides) != (
        wanted.encoder.name,
        wanted.encoder.strides,
    ):
        raise ModelError(
            f"recipe {recipe.name} has the backbone {wanted.encoder.name} at strides "
            f"{wanted.encoder.strides}, and {recipe.trainer}, which trains it, has {encoder.name} "
            f"at {encoder.strides}; expected the same"
        )
    if recipe.trainer == recipe.name:
        return trained
    network = build_network(replace(wanted, encoder=encoder))
    network.encoder.load_state_dict(trained.encoder.state_dict())
    return network.eval()
