"""`fewshot segment`: annotated images in, masks of all the others out.

What can be refused is refused here, before torch is imported, which takes longer than all of it.
"""

from collections.abc import Iterator
from pathlib import Path

from episodes.axes import Reading
from episodes.decode import is_readable
from episodes.encode import make_folder
from episodes.errors import DataError
from episodes.foreign import no_image
from fewshot.commands.names import parse_names
from fewshot.commands.options import Segment
from fewshot.commands.quick import wait_quietly, without_collector
from fewshot.shots import read_shots


def segment(command: Segment) -> int:
    """Learn from the support, segment every query; one bad query does not stop the others.

    Raises:
        DataError: the support cannot be used, there is nothing to segment, or queries failed
            (after all others were done).
    """
    legend = parse_names(command.classes)
    reading = Reading(command.axes, command.channels)
    queries = list(_queries(command.query))
    if command.zoom and command.fuse != "together":
        raise DataError(
            f"--zoom learns all annotated images together; leave out --fuse {command.fuse}"
        )
    if command.tiles and (command.zoom or command.other_magnification):
        given = "--zoom" if command.zoom else "--other-magnification"
        raise DataError(f"--tiles looks at parts of one size; leave out {given}")
    _refuse_overwriting(queries, command)
    shots = read_shots(
        *(list(command.support), list(command.mask), legend),
        ignore_affine=command.ignore_affine,
        reading=reading,
    )
    make_folder(command.out)
    print(*shots.axes(), shots.describe(), sep="\n", flush=True)
    wait_quietly()
    with without_collector():
        from fewshot.commands.segment_files import segment_files  # imports torch
    return segment_files(command, shots, queries)


def _queries(paths: tuple[Path, ...]) -> Iterator[tuple[Path, Path]]:
    """List files, and readable files of folders, each with the name it has below the output."""
    if not paths:
        raise DataError("no query; expected images or folders of them after --query")
    for path in paths:
        if not path.is_dir():
            yield path, Path(path.name)
            continue
        inside = [p for p in sorted(path.rglob("*")) if p.is_file() and is_readable(p)]
        if not inside:
            raise DataError(no_image(path))
        yield from ((p, p.relative_to(path)) for p in inside if not p.name.startswith("."))


def _refuse_overwriting(queries: list[tuple[Path, Path]], command: Segment) -> None:
    """No result may replace an input, and no two queries may share a result."""
    out = command.out.resolve()
    inputs = {p.resolve() for p in (*command.support, *command.mask, *(q for q, _ in queries))}
    clash = [path for path in inputs if path.parent == out]
    if clash:
        raise DataError(
            f"the output folder {command.out} holds the input {clash[0].name}; "
            "choose an empty folder, so that no image is replaced by its mask"
        )
    written: dict[Path, Path] = {}
    for query, name in queries:
        stem = name.name.split(".")[0]
        for target in (name.parent / stem, name.parent / f"{stem}_overlay"):
            if target in written:
                raise DataError(
                    f"{query} and {written[target]} would both write {target}; "
                    "segment them into folders of their own"
                )
            written[target] = query
