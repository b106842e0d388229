"""Any scores of masks, of the queries that an evaluation or a protocol segments."""

from collections.abc import Sequence

import numpy as np
from torch import Tensor

from episodes.catalog.catalog import Catalog, Sample
from episodes.catalog.letterbox import Letterbox
from episodes.catalog.spacing import pixel_spacing
from episodes.io.pixels import IGNORE
from episodes.sampling.episode import Plan
from fewshot.evaluation.mask_table import distance_penalties, mask_table, table_notes
from fewshot.metrics.mask_scores import MaskPair, check_metrics
from fewshot.metrics.report import Report
from fewshot.metrics.tables import text_table
from fewshot.registry import METRICS

_POOLED = (
    "overlaps pool the pixels of a subject's queries, all other scores are means over its queries"
)


class QueryScores:
    """Collects scores of masks, by method, class and subject.

    Overlaps are computed from the pixels of all queries of a subject and class, as Dice is
    everywhere here; scores that have no counts are computed for each query.

    Args:
        metrics: names of `fewshot.registry.METRICS`.
        tolerance: of NSD, in `unit`.
        catalog: that queries are of.

    Attributes:
        unit: of distances: "mm" where every image names its spacing, else "pixels" of the files.

    Raises:
        FewshotError: there is no such metric.
    """

    def __init__(self, metrics: Sequence[str], tolerance: float, catalog: Catalog) -> None:
        check_metrics(metrics)
        self.metrics, self.tolerance = tuple(metrics), tolerance
        self._samples = {sample.key: sample for sample in catalog.samples}
        spaced = all(pixel_spacing(sample) is not None for sample in catalog.samples)
        self.unit = "mm" if spaced else "pixels"
        self._diagonal = 0.0
        self._counts: dict[tuple[str, str, str, str], np.ndarray] = {}
        self._rows: list[tuple[str, str, str, str, str, float]] = []

    def spacing(self, sample: Sample) -> tuple[float, float]:
        """Rows and columns of a sample's own pixels, in `unit`."""
        found = pixel_spacing(sample) if self.unit == "mm" else None
        return found or (1.0, 1.0)

    def add(
        self,
        method: str,
        run: str,
        case: str,
        subject: str,
        class_name: str,
        pair: MaskPair,
    ) -> None:
        """Add one class of one query.

        Args:
            method: what made the prediction.
            run: pixels are pooled within it.
            case: the query, unique in its run.
            subject: whose it is.
            class_name: the class.
            pair: the two masks.
        """
        self._diagonal = max(self._diagonal, pair.diagonal)
        key = method, run, subject, class_name
        self._counts[key] = self._counts.get(key, 0) + pair.confusion
        for name in self.metrics:
            if METRICS[name].of_counts is None:
                value = METRICS[name].of_pair(pair)
                self._rows.append(
                    (method, f"{run} {case}".strip(), subject, class_name, name, value)
                )

    def add_episode(self, method: str, plan: Plan, labels: Tensor, truth: Tensor) -> None:
        """Add the queries of an episode, at the size that the network saw them.

        Args:
            method: what made the prediction.
            plan: of the episode.
            labels: predicted [query height width].
            truth: [query height width], 255 unknown.
        """
        for number, (key, subject) in enumerate(zip(plan.query, plan.query_subjects, strict=True)):
            sample = self._samples[key]
            found, true = labels[number].numpy(), truth[number].numpy()
            inner = Letterbox(*sample.size, found.shape[0]).inner
            lengths = [
                each * own / shown
                for each, own, shown in zip(self.spacing(sample), sample.size, inner, strict=True)
            ]
            for label, name in enumerate(plan.classes, start=1):
                reference = np.where(true == IGNORE, np.uint8(IGNORE), true == label)
                pair = MaskPair(found == label, reference, lengths, self.tolerance)
                self.add(method, "", f"{plan.index} {number} {key}", subject, name, pair)

    def report(self) -> Report:
        """Gather everything; what a class on one side alone costs is the largest diagonal."""
        report = Report(distance_penalties(self.metrics, self._diagonal))
        for (method, run, subject, class_name), counts in self._counts.items():
            scores = {
                name: of_counts(counts)
                for name in self.metrics
                if (of_counts := METRICS[name].of_counts) is not None
            }
            case = f"{run} {subject}".strip()
            report.add(case, subject, scores, target=class_name, method=method)
        report.merge(self._rows)
        return report

    def text(self, report: Report) -> str:
        """The table for a terminal, and what stands behind it."""
        columns, rows = mask_table(report, self.metrics, self.unit)
        notes = [line for line in table_notes(report, self.unit) if line]
        return "\n".join(
            [*text_table(columns, rows, right=range(2, len(columns))), *notes, _POOLED]
        )

    def content(self, report: Report) -> dict[str, object]:
        """Everything, ready for JSON."""
        return {"distances": self.unit, "tolerance": self.tolerance, **report.to_dict()}
