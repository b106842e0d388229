"""`fewshot match score`: same or not, and who is nearest, trained beside untrained."""

import time
from typing import Any

import numpy as np

from episodes.catalog.catalog import Catalog
from episodes.catalog.loader import Loader
from episodes.errors import DataError, shorten
from episodes.sampling.pairs import PairSampler, PairSettings
from fewshot.cli.match_options import MatchScore
from fewshot.evaluation import results
from fewshot.experiments.pair_data import masks_for, names_of, of_names
from fewshot.experiments.run_record import commands_of, read_split, training_seconds
from fewshot.experiments.split import open_catalog
from fewshot.metrics.tables import percent, with_bounds
from fewshot.models.embedding_network import EmbeddingNetwork
from fewshot.provenance import typed_command, unchanged
from fewshot.siamese.retrieval.catalog_items import embed_catalog
from fewshot.siamese.retrieval.embed import load_embedder
from fewshot.siamese.verification.embedding_scores import EmbeddingScores

UNITS = {
    "auc": "ROC-AUC, 0 to 100",
    "eer": "equal error rate, %, lower is better",
    "recall_at_1": "recall@1, %",
}
_IMAGENET = "ImageNet features, untrained"


def match_score(command: MatchScore) -> int:
    """Score, say it, and write the result."""
    started = time.monotonic()
    if command.result is not None and command.model is None:
        raise DataError("a result needs a trained network; name it with --model")
    remembered = read_split(command.model) if command.model else {}
    catalog = open_catalog(command.data, command.dataset, masks_for=masks_for(command.identity))
    test = unseen(catalog, remembered, command)
    found: dict[str, EmbeddingScores] = {}
    identity: dict[str, Any] = {}
    if command.model is not None:
        with unchanged(command.model) as identity:
            network = load_embedder(command.model)
        found["trained"] = score_network(network, test, command)
    found[_IMAGENET] = score_network(load_embedder(None), test, command)
    scores = {name: scored.intervals(command.seed) for name, scored in found.items()}
    rows = [[name, *(_cell(scored[each]) for each in UNITS)] for name, scored in scores.items()]
    first = next(iter(found.values()))
    said = describe(first, test, command)
    print(said)
    for row in rows:
        cells = [f"{each} {cell}" for each, cell in zip(UNITS, row[1:], strict=True)]
        print(f"{row[0]}: {', '.join(cells)}")
    if command.result is not None and command.model is not None:
        part = {
            "headline": [_head(command.headline, each, scores) for each in UNITS],
            "about": said,
            "commands": [*commands_of(remembered), typed_command()],
            **results.dated(),
            "seconds": round(training_seconds(command.model) + time.monotonic() - started, 1),
            "data": command.data.name,
            "fingerprint": test.fingerprint,
            **identity,
            **_training(remembered),
            "tables": [{"title": "Scores", "columns": ["", *UNITS], "rows": rows}],
            "by_identity": _by_identity(found),
        }
        results.add_part(command.result, command.part, part)
        print(f"result: {command.result}")
    return 0


def _training(remembered: dict[str, Any]) -> dict[str, Any]:
    return {
        "training": remembered["episodes"],
        "trained_on": len(remembered["train_subjects"]),
        "validated_on": remembered.get("validation", []),
    }


def unseen(catalog: Catalog, remembered: dict[str, Any], command: MatchScore) -> Catalog:
    """Keep the images of classes or subjects that a network was not trained on.

    Raises:
        DataError: fewer than two of them are left, or the network tells other things apart.
    """
    if remembered and remembered.get("identity") != command.identity:
        raise DataError(
            f"{command.model} was trained with --identity {remembered.get('identity')}; score it "
            "with the same"
        )
    key = "base_classes" if command.identity == "class" else "train_subjects"
    seen = set(remembered.get(key, ()))
    names = names_of(catalog, command.identity)
    rest = tuple(name for name in names if name not in seen)
    if len(rest) < 2:
        raise DataError(
            f"of {len(names)} names in {command.data} the network was trained on "
            f"{len(names) - len(rest)} ({shorten(seen, 3)}); expected two or more that it has not "
            "seen. Train with --test-share, or name other data"
        )
    return of_names(catalog, rest, command.identity)


def score_network(network: EmbeddingNetwork, test: Catalog, command: MatchScore) -> EmbeddingScores:
    """Embed the test images and compare them all."""
    lister = PairSampler(
        test, PairSettings(1, 2, command.identity), loader=Loader(network.settings.size)
    )
    return EmbeddingScores(*embed_catalog(network, lister), command.min_gap)


def describe(scored: EmbeddingScores, test: Catalog, command: MatchScore) -> str:
    """Say what was compared with what."""
    genuine = int(scored.pairs.genuine.sum())
    kind = "classes" if command.identity == "class" else "subjects"
    beside = (
        ""
        if command.min_gap == 1
        else f"Images of one of them nearer than {command.min_gap} places in its list make no pair "
        "and are no answer to each other. "
    )
    return (
        f"{len(scored.codes)} images of {len(np.unique(scored.codes))} {kind} never trained on, "
        f"{genuine:,} pairs of one and {len(scored.pairs.scores) - genuine:,} of two. {beside}"
        f"95 % intervals from drawing {kind}."
    )


def _by_identity(found: dict[str, EmbeddingScores]) -> dict[str, dict[str, float]]:
    """Recall@1 of every class or subject."""
    rows: dict[str, dict[str, float]] = {}
    for method, scored in found.items():
        hits = scored.retrieval.scores["recall@1"]
        for name in dict.fromkeys(scored.identities):
            own = hits[np.array(scored.identities) == name]
            own = own[~np.isnan(own)]
            if own.size:
                rows.setdefault(name, {})[method] = 100 * float(own.mean())
    return rows


def _head(prefix: str, name: str, scores: dict[str, Any]) -> dict[str, Any]:
    value, low, high = map(percent, scores["trained"][name])
    return {
        "name": f"{prefix}_{name}",
        "value": value,
        "ci95": [low, high],
        "baseline": percent(scores[_IMAGENET][name][0]),
        "unit": f"{UNITS[name]}; baseline: {_IMAGENET}",
    }


def _cell(interval: tuple[float, float, float]) -> str:
    return with_bounds(*(100 * each for each in interval))
