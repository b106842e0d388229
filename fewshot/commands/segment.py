"""`fewshot segment`: annotated images in, masks of all the others out."""

import warnings
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tqdm import tqdm

from episodes.decode import is_readable
from episodes.encode import make_folder, write_json, write_picture
from episodes.errors import DataError
from episodes.foreign import no_image
from episodes.legend import Legend
from fewshot.adapt.test_time import TestTimeSettings, adapt_to_shots
from fewshot.commands.data import parse_names
from fewshot.commands.options import Segment
from fewshot.confidence import LOW
from fewshot.coordinates import with_coordinates
from fewshot.heads import Support
from fewshot.inputs import other_view
from fewshot.saving import load_segmenter, save_support
from fewshot.segmentation import Segmentation
from fewshot.segmenter import Segmenter
from fewshot.shots import Shots, read_shots
from fewshot.zoom import learn_zoomed, segment_zoomed

Look = Callable[[Path], Segmentation]

_MOST_STEPS = 200  # of adaptation, should a machine be so fast


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
    supports, look = _learned(command, legend)
    for name, support in supports.items():
        save_support(support, out / f"{name}.safetensors")
    first = next(iter(supports.values()))
    rows, failed = [], []
    for query, name in tqdm(queries, desc="segmenting", unit="image"):
        try:
            result = look(query)
        except DataError as error:
            failed.append(str(error) if str(query) in str(error) else f"{query}: {error}")
            continue
        rows.append(_write(result, out, name))
        _warn_if_strange(query, result)
    write_json(
        out / "summary.json",
        {
            "classes": dict(zip(first.class_names, first.values, strict=True)),
            "support": [path.name for path in command.support],
            "model": first.model,
            "refine": {**asdict(command.refine), "coordinates": command.coordinates},
            "fuse": command.fuse,
            "zoom": command.zoom,
            "adapt_seconds": command.adapt,
            "images": rows,
            "failed": failed,
        },
    )
    print(f"{len(rows)} of {len(queries)} images segmented; masks and overlays in {out}")
    if failed:
        raise DataError(f"{len(failed)} of {len(queries)} failed: " + "; ".join(failed[:5]))
    return 0


def _learned(command: Segment, legend: Legend | None) -> tuple[dict[str, Support], Look]:
    """Load the model, change it as asked for, and learn the support: one, or one an image."""
    segmenter = load_segmenter(command.model) if command.model else Segmenter()
    if command.coordinates:
        segmenter = with_coordinates(segmenter, command.coordinates)
    shots = read_shots(
        list(command.support), list(command.mask), legend, ignore_affine=command.ignore_affine
    )
    print(shots.describe())
    size = command.size or segmenter.size_for(shots)
    if command.adapt:
        settings = TestTimeSettings(steps=_MOST_STEPS, seconds=command.adapt)
        segmenter = adapt_to_shots(segmenter, shots, settings, size=size)
    mirror, how = command.refine.flip == "both", command.fuse
    if command.zoom:
        if how != "together":
            raise DataError(f"--zoom learns all annotated images together; leave out --fuse {how}")
        zoomed = learn_zoomed(segmenter, shots, command.zoom, size=size, mirror=mirror)
        named = {"support": zoomed.whole}
        if zoomed.window is None:
            print(f"windows of {zoomed.share:.0%} of the picture would show all; looking once")
        else:
            named["support_window"] = zoomed.window
        return named, lambda query: _same_view(
            shots, segment_zoomed(segmenter, query, zoomed, command.refine)
        )
    sets = [shots] if how == "together" else shots.apart()
    supports = [segmenter.learn_shots(s, size=size, mirror=mirror) for s in sets]
    fuse = "probabilities" if how == "together" else how
    named = {f"support_{number}": support for number, support in enumerate(supports, start=1)}
    if len(supports) == 1:
        named = {"support": supports[0]}
    return named, lambda query: _same_view(
        shots, segmenter.segment(query, supports, command.refine, fuse)
    )


def _same_view(shots: Shots, result: Segmentation) -> Segmentation:
    """Pass a result on; warn where its slices cut the body otherwise than the annotated ones."""
    if words := other_view(shots.pictures, result.source):
        warnings.warn(words, stacklevel=2)
    return result


def _write(result: Segmentation, out: Path, name: Path) -> dict[str, Any]:
    """Write mask, overlay and summary of one image; return its row of the whole summary."""
    target = out / name.parent / result.default_name()
    make_folder(target.parent)
    result.save(target)
    stem = target.name.split(".")[0]
    picture = write_picture(target.with_name(f"{stem}_overlay.png"), result.overlay())
    row = {
        **result.summary(),
        "mask": target.relative_to(out).as_posix(),
        "overlay": picture.relative_to(out).as_posix(),
    }
    write_json(target.with_name(f"{stem}.json"), row)
    return row


def _warn_if_strange(query: Path, result: Segmentation) -> None:
    if result.agreement is not None and result.agreement < LOW:
        warnings.warn(
            f"{query.name} hardly looks like the annotated images (agreement "
            f"{result.agreement:.2f}); look at its overlay before you use its mask",
            stacklevel=2,
        )


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
