"""`fewshot inspect`: what a data set holds, and what looks wrong."""

from collections import Counter

from episodes.catalog import Catalog
from episodes.encode import make_folder, write_json
from fewshot.cli import Inspect
from fewshot.commands.data import open_catalog


def inspect(command: Inspect) -> int:
    """Print classes, images and subjects, then every warning."""
    catalog = open_catalog(command.data, command.subject_pattern, command.classes)
    found = describe(catalog)
    print(text(found))
    if command.json is not None:
        make_folder(command.json.parent)
        write_json(command.json, found)
    return 0


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
    return {
        "name": catalog.name,
        "images": len(catalog),
        "annotated": sum(bool(s.masks) for s in catalog.samples),
        "subjects": len(catalog.subjects),
        "sizes": dict(sizes.most_common()),
        "classes": classes,
        "warnings": [*catalog.notes, *_warnings(classes, sizes)],
    }


def _warnings(classes: dict, sizes: Counter) -> list[str]:
    found = []
    for name, row in classes.items():
        if row["images"] == 0:
            found.append(f"class {name} is named but no mask shows it")
        elif row["subjects"] == 1:
            found.append(
                f"class {name} occurs in one subject only: support and query cannot come from "
                "different subjects, and no interval can be given"
            )
        if 0 < row["smallest_area"] < 16:
            found.append(f"class {name} has masks of {row['smallest_area']} pixels; specks?")
    if len(sizes) > 20:
        found.append(f"{len(sizes)} different image sizes")
    if not classes:
        found.append("no class at all: every mask is empty, or there is none")
    return found


def text(found: dict) -> str:
    """The findings for a terminal."""
    sizes = list(found["sizes"].items())
    listed = ", ".join(f"{size} ({count})" for size, count in sizes[:4])
    lines = [
        f"{found['name']}: {found['images']} images ({found['annotated']} annotated) of "
        f"{found['subjects']} subjects",
        f"sizes (width x height): {listed}"
        + (f" and {len(sizes) - 4} more" if len(sizes) > 4 else ""),
        "",
        f"{'class':28}{'images':>8}{'subjects':>10}{'median area':>13}{'smallest':>10}",
    ]
    lines += [
        f"{name[:27]:28}{row['images']:>8}{row['subjects']:>10}"
        f"{row['median_area']:>13}{row['smallest_area']:>10}"
        for name, row in found["classes"].items()
    ]
    lines.append("")
    lines += [f"warning: {warning}" for warning in found["warnings"]] or ["nothing looks wrong"]
    return "\n".join(lines)
