"""`fewshot match`: an index of images, the best matches of a picture, same subject or not."""

import importlib
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from episodes.catalog.catalog import Sample
from episodes.catalog.class_names import parse_names
from episodes.catalog.letterbox import intensity_range
from episodes.catalog.loader import Loader
from episodes.errors import DataError, ModelError
from episodes.io.read import read_planes, stem
from episodes.io.write import make_folder, write_image
from episodes.protocols.verification import list_pairs
from episodes.readers import read_catalog
from episodes.readers.naming import samples_of, subject_of
from episodes.sampling.episode import to_channels
from fewshot.cli.match_options import (
    Match,
    MatchAdd,
    MatchBuild,
    MatchQuery,
    MatchThreshold,
    MatchVerify,
)
from fewshot.experiments.settings import ReadingSettings
from fewshot.models.embedding_network import EmbeddingNetwork
from fewshot.numerics import unit_rows
from fewshot.plots import overlays as pictures
from fewshot.siamese.retrieval.embed import embed_image, load_embedder
from fewshot.siamese.retrieval.index import Index, Value
from fewshot.siamese.retrieval.index import Match as Found
from fewshot.siamese.retrieval.open import create_index, open_index
from fewshot.siamese.verification.pairs_roc import Estimate, Pairs
from fewshot.siamese.verification.threshold import (
    ThresholdAudit,
    audit_threshold,
    choose_threshold,
    load_decision,
    save_decision,
)

_ELSEWHERE = {
    "MatchTrain": ("fewshot.experiments.train_embedding", "match_train"),
    "MatchScore": ("fewshot.cli.match_score", "match_score"),
    "MatchOmniglot": ("fewshot.cli.match_omniglot", "match_omniglot"),
    "MatchSegment": ("fewshot.cli.match_segment", "match_segment"),
}
"""Actions of other modules, and what does them; imported when they are asked for."""
_CHUNK = 16  # images embedded at once
_COMMIT = 4096  # images written at once


def match(command: Match) -> int:
    """Do what was asked for."""
    name = type(command.action).__name__
    if name in _ELSEWHERE:
        module, function = _ELSEWHERE[name]
        return getattr(importlib.import_module(module), function)(command.action)
    actions: dict[str, Callable[[Any], int]] = {
        "MatchBuild": build,
        "MatchAdd": add,
        "MatchQuery": query,
        "MatchThreshold": threshold,
        "MatchVerify": verify,
    }
    return actions[name](command.action)


def build(command: MatchBuild) -> int:
    """Make an index and add every image of a folder."""
    samples = list_samples(command.data, command.reading)
    network = load_embedder(command.model)
    about: dict[str, Value] = {
        "model": network.fingerprint(),
        "model_folder": str(command.model.resolve()) if command.model else "",
    }
    index = create_index(command.index, network.dim, metadata=about)
    _fill(index, network, samples)
    print(f"{len(index)} images in {command.index}\nnext: fewshot match query PICTURE --index ...")
    return 0


def add(command: MatchAdd) -> int:
    """Add images to an index, or replace them."""
    index = open_index(command.index)
    network = _model_of(index, command.model)
    samples = [sample for path in command.images for sample in list_samples(path, command.reading)]
    before = len(index)
    _fill(index, network, samples)
    print(f"{len(index) - before} images added, {len(index)} in {command.index}")
    return 0


def query(command: MatchQuery) -> int:
    """Print the best matches of a picture, and draw them."""
    index = open_index(command.index)
    network = _model_of(index, command.model)
    vector = embed_image(network, command.image)
    own = command.without_subject
    (found,) = index.search(
        vector[None],
        command.k,
        where=dict(map(_filter, command.where)),
        without=None if own is None else {"subject": [own]},
    )
    rows = [["rank", "distance", "key", "metadata"]]
    for rank, each in enumerate(found, start=1):
        listed = " ".join(f"{n}={v}" for n, v in each.metadata.items() if n != "file")
        rows.append([str(rank), f"{each.distance:.4f}", each.key, listed])
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    for row in rows:
        print("  ".join(cell.ljust(w) for cell, w in zip(row, [*widths, 0], strict=True)).rstrip())
    if command.out is not None:
        make_folder(command.out.parent)
        print(f"picture: {write_image(command.out, sheet(command.image, found))}")
    return 0


def threshold(command: MatchThreshold) -> int:
    """Choose a threshold on some subjects, freeze it, and audit it on the others."""
    samples = list_samples(command.data, command.reading)
    network = load_embedder(command.model)
    generator = np.random.default_rng(command.seed)
    subjects = generator.permutation(sorted({sample.subject for sample in samples})).tolist()
    count = round(command.test_share * len(subjects))
    if not 2 <= count <= len(subjects) - 2:
        raise DataError(
            f"test-share {command.test_share} of {len(subjects)} subjects; expected at least two "
            "subjects to choose on and two to audit on. Does --subject-pattern find the subjects?"
        )
    vectors = np.concatenate(list(_described(network, samples)))
    described = list(zip(samples, vectors, strict=True))
    parts = [
        _pairs([each for each in described if each[0].subject in part], seed)
        for seed, part in enumerate((set(subjects[count:]), set(subjects[:count])), command.seed)
    ]
    chosen = choose_threshold(
        parts[0],
        command.rule,
        command.calibration,
        model=network.fingerprint(),
    )
    make_folder(command.out.parent)
    save_decision(chosen, command.out)
    print(
        f"threshold {chosen.threshold:.4f} ({chosen.rule}) from {chosen.genuine} pairs of one "
        f"subject and {chosen.impostor} of two, {chosen.subjects} subjects; frozen in "
        f"{command.out}\n{audit_text(audit_threshold(chosen, parts[1], seed=command.seed))}"
    )
    return 0


def verify(command: MatchVerify) -> int:
    """Compare two pictures with a frozen threshold."""
    decision = load_decision(command.threshold)
    network = load_embedder(command.model)
    if decision.model and decision.model != network.fingerprint():
        raise ModelError(
            f"{command.threshold} was chosen with another model than {command.model or 'ImageNet'}"
            "; give that one with --model, or choose a threshold for this one"
        )
    if not decision.model:
        warnings.warn(
            f"{command.threshold} does not say which model it was chosen with; choose it again: "
            "scores of another model mean something else",
            stacklevel=2,
        )
    one, other = unit_rows(np.stack([embed_image(network, path) for path in command.images]))
    score = float(one @ other)
    answer = "same subject" if decision.accept(score) else "different subjects"
    print(
        f"{answer}: cosine {score:.4f}, threshold {decision.threshold:.4f} ({decision.rule}), "
        f"probability {float(decision.probability(score)):.3f} where {_prior(decision)} of pairs "
        "are of one subject"
    )
    return 0


def audit_text(found: ThresholdAudit) -> str:
    """Tell what a frozen threshold does on other subjects."""

    def cell(name: str, value: Estimate) -> str:
        return f"{name} {value.value:.4f} [{value.low:.4f}, {value.high:.4f}]"

    rates = ", ".join(cell(n, getattr(found, n.lower())) for n in ("FAR", "TAR", "AUC", "EER"))
    return (
        f"audit on {found.subjects} other subjects ({found.genuine} and {found.impostor} pairs): "
        f"{rates}, calibration error {found.calibration_error:.3f} "
        "[95 % intervals over subjects]"
    )


def list_samples(path: Path, reading: ReadingSettings) -> list[Sample]:
    """List the images of a data set, of a folder, or of a file, plane by plane.

    Raises:
        DataError: there is no image, or one cannot be read.
    """
    if path.is_dir():
        catalog = read_catalog(
            path,
            subject_pattern=reading.subject_pattern,
            label_map=parse_names(reading.classes),
            ignore_affine=reading.ignore_affine,
        )
        for note in catalog.notes:
            print(f"note: {note}")
        return list(catalog.samples)
    subject = subject_of(stem(path), reading.subject_pattern)
    return samples_of(path.parent, path, [], subject)


def sheet(image: Path, found: list[Found]) -> np.ndarray:
    """Draw a picture beside its matches."""
    heads, row = ["query"], [_shown(read_planes(image)[0])]
    for rank, each in enumerate(found, start=1):
        heads.append(f"{rank}: {each.distance:.3f}")
        file = Path(str(each.metadata.get("file", "")))
        if not file.is_file():
            raise DataError(f"{file} of the match {each.key} is gone; query without --out")
        planes = read_planes(file)
        row.append(_shown(planes, int(each.metadata.get("plane") or 0)))
    names = ", ".join(str(each.metadata.get("subject", each.key)) for each in found)
    caption = f"subjects of the matches: {names}"
    title = f"{image.name} and its {len(found)} best matches (distance)"
    return pictures.contact_sheet(title, heads, [pictures.Row(caption, row)], legend=False)


def _shown(pixels: np.ndarray, plane: int | None = None) -> np.ndarray:
    return pictures.to_rgb(pixels if plane is None else pixels[plane], intensity_range(pixels))


def _fill(index: Index, network: EmbeddingNetwork, samples: list[Sample]) -> None:
    for start in range(0, len(samples), _COMMIT):
        part = samples[start : start + _COMMIT]
        vectors = np.concatenate(list(_described(network, part)))
        index.update([sample.key for sample in part], vectors, list(map(_metadata, part)))


def _described(network: EmbeddingNetwork, samples: list[Sample]) -> Iterator[np.ndarray]:
    loader = Loader(network.settings.size)
    for start in tqdm(range(0, len(samples), _CHUNK), desc="embedding", unit="batch"):
        images = [to_channels(loader.image(s), 3) for s in samples[start : start + _CHUNK]]
        yield network.embed(torch.stack(images)).cpu().numpy()


def _metadata(sample: Sample) -> dict[str, Value]:
    row: dict[str, Value] = {"subject": sample.subject, "plane": sample.image.plane or 0}
    if sample.image.reader is None:
        row["file"] = str(sample.image.path.resolve())
    return row


def _model_of(index: Index, folder: Path | None) -> EmbeddingNetwork:
    """Load the model that the index was built with."""
    known = str(index.metadata.get("model_folder", ""))
    network = load_embedder(folder or (Path(known) if known else None))
    if index.metadata.get("model") != network.fingerprint():
        raise ModelError(
            f"the index was built with the model {index.metadata.get('model')} from "
            f"{known or 'ImageNet'}, and this one is {network.fingerprint()}; their embeddings "
            "cannot be compared. Name the right one with --model, or build the index again"
        )
    return network


def _pairs(described: list[tuple[Sample, np.ndarray]], seed: int) -> Pairs:
    """Score all pairs of one subject and as many of two."""
    names = [sample.subject for sample, _ in described]
    codes = np.unique(names, return_inverse=True)[1]
    listed = list_pairs(codes, "balanced", np.random.default_rng(seed))
    vectors = unit_rows(np.stack([vector for _, vector in described]))
    scores = np.einsum("pc,pc->p", vectors[listed[:, 0]], vectors[listed[:, 1]])
    return Pairs.of(scores, codes[listed[:, 0]], codes[listed[:, 1]])


def _filter(text: str) -> tuple[str, Value]:
    """Read `name=value`; whole numbers become numbers, `plane` being one."""
    name, mark, value = text.partition("=")
    if not mark:
        raise DataError(f"where is {text!r}; expected name=value, e.g. subject=p1")
    return name, int(value) if name == "plane" and value.isdecimal() else value


def _prior(decision: Any) -> str:
    return f"{decision.genuine / (decision.genuine + decision.impostor):.0%}"
