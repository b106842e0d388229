"""Segment one query after another: nothing is lost, one bad file stops no other, a stop no run.

`segment` and `match segment` differ in how a query is answered, which is a function here.
"""

import contextlib
import json
import os
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tqdm import tqdm

from episodes.errors import DataError, FewshotError
from episodes.io import outputs
from episodes.io.read import ARRAY_SUFFIXES, STACK_SUFFIXES, VOLUME_SUFFIXES, stem, suffix
from episodes.io.write import make_folder, write_image, write_json
from fewshot.archive.answer import Answer, Result
from fewshot.archive.interruption import stopped_in_good_order
from fewshot.archive.ledger import LEDGER, Ledger, digest
from fewshot.archive.object_files import ObjectFiles
from fewshot.archive.queries import Query, result_names, results_of
from fewshot.inference.magnification import TooLargeError

SUMMARY = "summary.json"
_SECONDS = 2.0  # between summaries that are written while a run goes on


@dataclass
class Batch:
    """The queries of a command, and the folder of their results.

    Args:
        queries: from `list_queries`.
        out: folder of the results.
        settings: hash of everything that a result depends on but the query; a query that was
            segmented with equal settings, and did not change, is not segmented again.
        reserved: further names in the output folder.
        largest: the largest value of the masks.
        details: keys of an answer that its JSON file holds, and neither ledger nor summary: long
            lists of numbers.

    Raises:
        DataError: the folder cannot be written, or holds other files of a result's name.
    """

    queries: Sequence[Query]
    out: Path
    settings: str
    reserved: Sequence[str] = ()
    largest: int = 255
    details: Sequence[str] = ()
    rows: dict[Path, Mapping[str, Any]] = field(default_factory=dict, init=False)
    failed: dict[Path, str] = field(default_factory=dict, init=False)
    objects: ObjectFiles | None = field(default=None, init=False)
    large: dict[Path, str] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        make_folder(self.out)
        self._ledger = Ledger(self.out)
        guard = outputs.current()
        guard.owns(self._ledger.owns)
        self._ledger.mend()
        for query in self.queries:
            guard.reads(query.path)
            if query.fault:
                self.failed[query.path] = f"{query.path}: {query.fault}"
        if len(self.failed) == len(self.queries):
            raise self._failure()
        own = [SUMMARY, LEDGER, *self.reserved]
        self._masks = self._named(own)
        self._contents = dict(self._digests())
        before = {q.path: self._done(q) for q in self.queries}
        self.before = {path: row for path, row in before.items() if row is not None}
        self.rows |= {path: self._kept(path, row) for path, row in self.before.items()}
        for path in self.to_do:
            for file in results_of(self._masks[path]):
                outputs.may_write(self.out / file)
        for name in own[:1] + own[2:]:
            outputs.may_write(self.out / name)
        self._ledger.end("", {"settings": "", "content": "", "files": dict.fromkeys(own)})

    @property
    def to_do(self) -> list[Path]:
        """The queries that have no result yet."""
        known = {*self.rows, *self.failed}
        return [query.path for query in self.queries if query.path not in known]

    def earlier_metadata(self) -> dict[str, Any] | None:
        """Metadata of an earlier run, if nothing is left to do; else None."""
        if self.to_do:
            return None
        try:
            content = json.loads((self.out / SUMMARY).read_text(encoding="utf-8"))
            return {k: v for k, v in content.items() if k not in ("images", "failed", "missing")}
        except (OSError, ValueError, AttributeError):
            return None  # it was stopped before it wrote one: a new summary is written

    def run(self, answer: Answer, metadata: Mapping[str, Any]) -> int:
        """Answer every query that has no result yet; the summary is valid whatever happens.

        Args:
            answer: see `Answer`; of a query that cannot be used it raises a FewshotError.
            metadata: of the whole run, for the summary.

        Raises:
            DataError: queries failed, after all others were done; or a result cannot be written.
        """
        try:
            with stopped_in_good_order():
                self._segment_all(answer, metadata)
        except BaseException:
            with contextlib.suppress(DataError):  # the disk may be full, which is reported already
                self._summarise(metadata)
            raise
        self._summarise(metadata)
        self._ledger.compact()
        return self._report()

    def _segment_all(self, answer: Answer, metadata: Mapping[str, Any]) -> None:
        written = time.monotonic()
        for path in tqdm(self.to_do, desc="segmenting", unit="image"):
            try:
                result, more = answer(path)
            except Exception as error:  # whatever a file does to us, the others are segmented
                if isinstance(error, TooLargeError):
                    self.large[path] = str(error)
                kind = "" if isinstance(error, FewshotError) else f"{type(error).__name__}: "
                text = kind + " ".join(str(error).split())
                self.failed[path] = text if str(path) in text else f"{path}: {text}"
                continue
            self._write(path, result, more)
            if result.doubt:
                warnings.warn(result.doubt, stacklevel=2)
            if time.monotonic() > written + _SECONDS:
                self._summarise(metadata)
                written = time.monotonic()

    def _write(self, path: Path, result: Result, more: Mapping[str, Any]) -> None:
        """Write mask, overlay and JSON of one query, and note them."""
        mask, overlay, about = results_of(self._masks[path])
        files = [each.as_posix() for each in (mask, overlay, about)]
        beside = [] if self.objects is None else self.objects.names(mask)
        self._ledger.begin(self._key(path), [*files, *(each.as_posix() for each in beside)])
        make_folder((self.out / mask).parent)
        result.save(self.out / mask)
        write_image(self.out / overlay, result.overlay())
        row = {**result.summary(), **more, "mask": files[0], "overlay": files[1]}
        if self.objects is not None:
            written, found = self.objects.write(mask, result)
            files += [each.as_posix() for each in written]
            row |= found
            if "objects_doubt" in found:
                warnings.warn(found["objects_doubt"], stacklevel=2)
        write_json(self.out / about, row)
        row = {key: value for key, value in row.items() if key not in self.details}
        self._ledger.end(
            self._key(path),
            {
                "settings": self.settings,
                "content": self._contents[path],
                "files": {name: digest(self.out / name) for name in files},
                "row": row,
            },
        )
        self.rows[path] = row

    def all_rows(self) -> list[Mapping[str, Any]]:
        """List the rows of the folder's results with these settings, those of this run first."""
        here = {self._key(query.path) for query in self.queries}
        return [self.rows[q.path] for q in self.queries if q.path in self.rows] + [
            row["row"]
            for key, row in self._ledger.rows.items()
            if key not in here and row["settings"] == self.settings and "row" in row
        ]

    def _summarise(self, metadata: Mapping[str, Any]) -> None:
        rows = self.all_rows()
        rows += [
            {"image": path.name, "answer": False, "reason": reason}
            for path, reason in self.large.items()
        ]
        failed = [self.failed[q.path] for q in self.queries if q.path in self.failed]
        content = {**metadata, "images": rows, "failed": failed, "missing": len(self.to_do)}
        write_json(self.out / SUMMARY, content)
        if self.objects is not None:
            self.objects.finish(rows)

    def _report(self) -> int:
        count, fine = len(self.queries), len(self.rows)
        before = f", {len(self.before)} of them by an earlier run" if self.before else ""
        large = f", {len(self.large)} too large" if self.large else ""
        print(
            f"{fine} of {count} images segmented{before}{large}; masks and overlays in {self.out}"
        )
        if self.failed:
            raise self._failure()
        return 0

    def _failure(self) -> DataError:
        if len(self.queries) == 1:
            return DataError(next(iter(self.failed.values())))
        lines = "\n".join(self.failed.values())
        return DataError(f"{len(self.failed)} of {len(self.queries)} failed:\n{lines}")

    def _named(self, own: Sequence[str]) -> dict[Path, Path]:
        """Name the masks; report names that are not the image's."""
        fine = [query for query in self.queries if query.path not in self.failed]
        endings = [(query, _ending(query.path, self.largest)) for query in fine]
        earlier = {
            query.path: Path(row["row"]["mask"])
            for query in fine
            if (row := self._ledger.rows.get(self._key(query.path))) and "row" in row
        }
        here = {self._key(query.path) for query in self.queries}
        others = [
            name
            for key, row in self._ledger.rows.items()
            if key and key not in here
            for name in row["files"]
        ]
        names = result_names(endings, earlier, [*own, *others])
        for query in fine:
            if stem(names[query.path]) != stem(query.name):
                print(f"{query.name}: its mask is called {names[query.path]}, as its name is taken")
        return names

    def _digests(self) -> Iterator[tuple[Path, str]]:
        for query in self.queries:
            if query.path not in self.failed:
                try:
                    yield query.path, digest(query.path)
                except DataError as error:
                    self.failed[query.path] = str(error)

    def _done(self, query: Query) -> dict[str, Any] | None:
        if query.path in self.failed:
            return None
        return self._ledger.done(self._key(query.path), self.settings, self._contents[query.path])

    def _kept(self, path: Path, row: Mapping[str, Any]) -> dict[str, Any]:
        """The row of a result that is kept; a corrected mask is reported."""
        changed = self._ledger.changed_files(self._key(path))
        if not changed:
            return dict(row["row"])
        print(f"{', '.join(changed)}: changed after it was written; kept as it is")
        return {**row["row"], "changed": changed}

    def _key(self, path: Path) -> str:
        """The query's path relative to the results: both may move together."""
        return os.path.relpath(path, self.out)


def refuse_inside(out: Path, data: Path) -> None:
    """Refuse results inside a data set, which would be read as its images the next time.

    Raises:
        DataError: `out` is `data` or lies in it.
    """
    if out.resolve().is_relative_to(data.resolve()):
        raise DataError(
            f"--out {out} lies in {data}, whose images the results would be taken for the next "
            "time; choose a folder outside of it"
        )


def nothing_left(query: Path) -> tuple[Result, Mapping[str, Any]]:
    """The answer of a batch in which everything was segmented before."""
    raise DataError(f"{query} was segmented before; expected no query to be left")


def _ending(path: Path, largest: int) -> str:
    """The ending that `Segmentation.default_name` will choose."""
    ending = suffix(path)
    if ending in (*VOLUME_SUFFIXES, *STACK_SUFFIXES):
        return ending
    if ending in ARRAY_SUFFIXES:
        return ".npy"
    return ".tif" if largest > 65_535 else ".png"
