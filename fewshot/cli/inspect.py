"""`fewshot inspect`: what a data set holds, and what looks wrong."""

from collections import Counter
from pathlib import Path

from episodes.catalog.catalog import Catalog
from episodes.catalog.class_names import parse_names
from episodes.catalog.class_report import classes_line
from episodes.catalog.duplicates import find_duplicates
from episodes.catalog.mask_counts import count_masks
from episodes.catalog.quality import (
    apply_label_map_leniently,
    class_problems,
    duplicate_problems,
    mask_problems,
    split_problems,
)
from episodes.io.write import make_folder, write_image, write_json
from episodes.masks.area_cache import cache_folder
from episodes.readers import layouts, read_catalog
from fewshot.cli.options import Inspect
from fewshot.plots.class_sheets import class_sheets


def inspect(command: Inspect) -> int:
    """Print classes, images and subjects, then every warning."""
    if command.layouts:
        print(layouts())
        return 0
    if command.pictures is not None:
        make_folder(command.pictures)
    label_map = parse_names(command.dataset.classes)
    raw = read_catalog(
        command.data,
        subject_pattern=command.dataset.subject_pattern,
        label_map=label_map,
        ignore_affine=command.dataset.ignore_affine,
    )
    cache = cache_folder() if command.dataset.cache else None
    counts = count_masks(raw, cache=cache, progress=any(s.masks for s in raw.samples))
    catalog, unnamed = apply_label_map_leniently(raw, counts)
    found = describe(catalog)
    found["warnings"] = [*unnamed, *found["warnings"], *split_problems(catalog, command.data)]
    if command.duplicates:
        pairs = find_duplicates(catalog, progress=True)
        found["warnings"] += duplicate_problems(catalog, pairs)
    if found["annotated"]:
        print(classes_line(catalog))
    print(text(found))
    if command.pictures is not None:
        draw(catalog, command.pictures)
    if command.json is not None:
        make_folder(command.json.parent)
        write_json(command.json, found)
    return 0


def draw(catalog: Catalog, folder: Path) -> None:
    """Write the contact sheets of a catalog and say where they are."""
    number, drawn = 0, 0
    for number, (sheet, classes) in enumerate(class_sheets(catalog), start=1):
        write_image(folder / f"classes_{number:02}.png", sheet)
        drawn += classes
    left = len(catalog.classes) - drawn
    print(f"{number} picture(s) in {folder}" + (f"; {left} classes are not drawn" if left else ""))


def describe(catalog: Catalog) -> dict:
    """Gather what there is to say about a measured catalog."""
    classes = {}
    for name in catalog.classes:
        areas = sorted(s.areas[name] for s in catalog.samples if s.areas and s.areas.get(name))
        subjects = {s.subject for s in catalog.samples if s.areas and s.areas.get(name)}
        classes[name] = {
            "images": len(areas),
            "subjects": len(subjects),
            "median_area": areas[len(areas) // 2] if areas else 0,
            "smallest_area": areas[0] if areas else 0,
        }
    sizes = Counter(f"{width} x {height}" for height, width in (s.size for s in catalog.samples))
    warnings = [*catalog.notes, *mask_problems(catalog), *class_problems(catalog)]
    if len(sizes) > 20:
        warnings.append(f"{len(sizes)} different image sizes")
    return {
        "name": catalog.name,
        "layout": catalog.layout,
        "images": len(catalog),
        "annotated": sum(bool(s.masks) for s in catalog.samples),
        "subjects": len(catalog.subjects),
        "sizes": dict(sizes.most_common()),
        "classes": classes,
        "warnings": warnings,
    }


def text(found: dict) -> str:
    """The findings for a terminal."""
    sizes = list(found["sizes"].items())
    listed = ", ".join(f"{size} ({count})" for size, count in sizes[:4])
    lines = [
        f"{found['name']}: {found['images']} images ({found['annotated']} annotated) of "
        f"{found['subjects']} subjects, read as {found['layout']}",
        f"sizes (width x height): {listed}"
        + (f" and {len(sizes) - 4} more" if len(sizes) > 4 else ""),
    ]
    if found["classes"]:
        heads = f"{'class':28}{'images':>8}{'subjects':>10}{'median area':>13}{'smallest':>10}"
        lines += ["", heads]
    lines += [
        f"{name[:27]:28}{row['images']:>8}{row['subjects']:>10}"
        f"{row['median_area']:>13}{row['smallest_area']:>10}"
        for name, row in found["classes"].items()
    ]
    lines.append("")
    lines += [f"warning: {warning}" for warning in found["warnings"]] or ["nothing looks wrong"]
    return "\n".join(lines)
