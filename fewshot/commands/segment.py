"""`fewshot segment`: annotated images in, masks of all the others out."""

from collections.abc import Iterator
from pathlib import Path

from tqdm import tqdm

from episodes.decode import is_readable
from episodes.encode import make_folder, write_json, write_picture
from episodes.errors import DataError
from fewshot.commands.data import parse_names
from fewshot.commands.options import Segment
from fewshot.saving import load_segmenter, save_support
from fewshot.segmenter import Segmenter


def segment(command: Segment) -> int:
    """Learn from the support, segment every query; one bad query does not stop the others.

    Raises:
        DataError: the support cannot be used, there is nothing to segment, or queries failed
            (after all others were done).
    """
    legend = parse_names(command.classes)
    queries = list(_queries(command.query))
    out = make_folder(command.out)
    _refuse_overwriting(queries, command)
    segmenter = load_segmenter(command.model) if command.model else Segmenter()
    support = segmenter.learn(list(command.support), list(command.mask), legend, size=command.size)
    save_support(support, out / "support.safetensors")
    rows, failed = [], []
    for query, name in tqdm(queries, desc="segmenting", unit="image"):
        try:
            result = segmenter.segment(query, support)
        except DataError as error:
            failed.append(str(error) if str(query) in str(error) else f"{query}: {error}")
            continue
        target = out / name.parent / result.default_name()
        make_folder(target.parent)
        result.save(target)
        stem = target.name.split(".")[0]
        picture = write_picture(target.with_name(f"{stem}_overlay.png"), result.overlay())
        rows.append(
            {
                **result.summary(),
                "mask": target.relative_to(out).as_posix(),
                "overlay": picture.relative_to(out).as_posix(),
            }
        )
        write_json(target.with_name(f"{stem}.json"), rows[-1])
    write_json(
        out / "summary.json",
        {
            "classes": dict(zip(support.class_names, support.values, strict=True)),
            "support": [path.name for path in command.support],
            "model": support.model,
            "images": rows,
            "failed": failed,
        },
    )
    print(f"{len(rows)} of {len(queries)} images segmented; masks and overlays in {out}")
    if failed:
        raise DataError(f"{len(failed)} of {len(queries)} failed: " + "; ".join(failed[:5]))
    return 0


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
            raise DataError(f"{path} holds no image; expected PNG, JPEG, TIFF or NIfTI files")
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
