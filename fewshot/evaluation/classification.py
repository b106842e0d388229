"""Accuracy of few-shot classification by prototypes, with intervals."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor
from tqdm import tqdm

from episodes.sampling.dataloader import BatchLoader
from episodes.sampling.episode import Plan
from episodes.sampling.plans import hash_plans
from episodes.sampling.sampler import EpisodeSource
from fewshot.metrics.bootstrap import Interval, bootstrap_mean
from fewshot.models.prototype_classifier import mean_prototypes, prototype_logits

Embed = Callable[[Float[Tensor, "image channel height width"]], Float[Tensor, "image dim"]]
"""Makes one vector an image: `EmbeddingNetwork.embed`, or `embed_pixels` as a baseline."""


@dataclass(frozen=True)
class ClassifiedQuery:
    """The answer to one query.

    Attributes:
        episode: number of its episode.
        query: key of its sample.
        class_name: its true class.
        answer: the class of the nearest prototype; of equally near ones the first.
    """

    episode: int
    query: str
    class_name: str
    answer: str


@dataclass(frozen=True)
class ClassificationResult:
    """The answers to the queries of a list of episodes.

    Attributes:
        cases: one a query.
        plans: the episodes.
    """

    cases: tuple[ClassifiedQuery, ...]
    plans: tuple[Plan, ...]

    @property
    def episode_hash(self) -> str:
        """Hash of the episode list."""
        return hash_plans(self.plans)

    def accuracy(
        self,
        over: Literal["episodes", "classes"] = "episodes",
        group_of: Callable[[str], str] | None = None,
    ) -> Interval:
        """Mean share of right answers with its 95 % bootstrap interval.

        Args:
            over: what is drawn again for the interval, and averaged over. "episodes", as published
                figures do: it is the uncertainty of a finite list of episodes of these very
                classes. "classes": that of other classes of the same kind.
            group_of: with "classes": the group of a class, such as its alphabet, to be drawn
                in its place.
        """
        right = [float(case.answer == case.class_name) for case in self.cases]
        if over == "episodes":
            return bootstrap_mean(right, [case.episode for case in self.cases])
        names = [case.class_name for case in self.cases]
        return bootstrap_mean(right, [group_of(name) if group_of else name for name in names])


def evaluate_classification(
    embed: Embed, source: EpisodeSource, episodes: int, *, batch: int = 16, progress: bool = False
) -> ClassificationResult:
    """Classify the queries of the first `episodes` episodes by the nearest prototype.

    Args:
        embed: makes the embeddings, e.g. `network.embed`.
        source: of a test catalog of whole-image classes.
        episodes: how many.
        batch: episodes at once.
        progress: show a progress bar.

    Raises:
        ValueError: no episode.
    """
    if episodes < 1:
        raise ValueError(f"episodes is {episodes}; expected at least 1")
    cases: list[ClassifiedQuery] = []
    plans: list[Plan] = []
    bar = tqdm(total=episodes, desc="classifying", unit="episode", disable=not progress)
    for loaded in BatchLoader(source, batch, stop=episodes):
        size, way, shot = loaded.support_images.shape[:3]
        images = torch.cat([loaded.support_images.flatten(1, 2), loaded.query_images], dim=1)
        vectors = embed(images.flatten(0, 1)).cpu().unflatten(0, (size, -1))
        prototypes = mean_prototypes(vectors[:, : way * shot].unflatten(1, (way, shot)))
        answers = prototype_logits(vectors[:, way * shot :], prototypes).argmax(dim=-1)
        for plan, found in zip(loaded.plans, answers.tolist(), strict=True):
            plans.append(plan)
            cases += [
                ClassifiedQuery(plan.index, key, plan.classes[right], plan.classes[answer])
                for key, right, answer in zip(plan.query, plan.query_ways, found, strict=True)
            ]
        bar.update(size)
    bar.close()
    return ClassificationResult(tuple(cases), tuple(plans))


def embed_pixels(images: Float[Tensor, "image channel height width"]) -> Float[Tensor, "image dim"]:
    """Take the pixels themselves as embedding: the baseline that a network has to beat."""
    return images.flatten(1)
