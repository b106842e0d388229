"""What the commands share: open a data set, split it as the settings say, remember the split."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

from episodes.catalog.catalog import Catalog
from episodes.catalog.class_areas import compute_class_areas
from episodes.catalog.class_names import parse_names
from episodes.catalog.class_report import classes_line
from episodes.catalog.leakage import audit_leakage
from episodes.catalog.splits import Split, draw_subjects, split_catalog, training_side
from episodes.errors import DataError, shorten
from episodes.masks.area_cache import cache_folder
from episodes.plugins import loaded_plugins
from episodes.readers import read_catalog
from fewshot.experiments.run_record import dataset_record
from fewshot.experiments.settings import DatasetSettings, HoldOut


def open_catalog(data: Path, dataset: DatasetSettings, *, masks_for: str | None = None) -> Catalog:
    """Read a data set, measure its masks or remember what was measured, and print its classes.

    What looked odd while reading, such as images without a mask, is printed.

    Args:
        data: its folder.
        dataset: how it is read.
        masks_for: what needs masks; None where pictures without masks do.

    Raises:
        DataError: it cannot be read, or has no masks though they are needed.
    """
    catalog = read_catalog(
        data,
        subject_pattern=dataset.subject_pattern,
        label_map=parse_names(dataset.classes),
        ignore_affine=dataset.ignore_affine,
    )
    if masks_for is not None:
        catalog.require_masks(masks_for)
    for note in catalog.notes:
        print(f"note: {note}")
    cache = cache_folder() if dataset.cache else None
    measured = compute_class_areas(catalog, progress=True, cache=cache)
    if any(sample.masks for sample in measured.samples):
        print(classes_line(measured))
    return measured


def make_split(catalog: Catalog, hold_out: HoldOut) -> Split:
    """Split as the settings say; without novel classes every class is on both sides.

    Raises:
        DataError: the share is none, or nothing would be left to train on.
    """
    subjects = hold_out.test_subjects or _draw_share(catalog, hold_out)
    if not subjects:
        train = (
            training_side(catalog, hold_out.novel, hold_out.training_exclusion)
            if hold_out.novel
            else catalog
        )
        test = catalog.of_classes(hold_out.novel) if hold_out.novel else catalog
        return Split(train, test.filter(lambda sample: False))
    if not set(catalog.subjects) - set(subjects):
        raise DataError(
            f"all {len(catalog.subjects)} subjects are held out, and none is left to train on; "
            "hold out fewer, or train on all of them with --test-share 0"
        )
    if hold_out.novel:
        return split_catalog(
            catalog,
            novel=hold_out.novel,
            test_subjects=subjects,
            training_exclusion=hold_out.training_exclusion,
        )
    rest = [subject for subject in catalog.subjects if subject not in set(subjects)]
    return Split(catalog.of_subjects(rest), catalog.of_subjects(subjects))


def _draw_share(catalog: Catalog, hold_out: HoldOut) -> tuple[str, ...]:
    """Draw the share of the subjects that is held out: one at least, unless it is 0."""
    share, there = hold_out.test_share, len(catalog.subjects)
    if not 0 <= share < 1:
        raise DataError(
            f"test-share is {share}; expected a share from 0 (train on everything) to below 1"
        )
    if share == 0:
        return ()
    if there < 2:
        raise DataError(
            f"there is one subject ({shorten(catalog.subjects)}), and it cannot be both trained on "
            "and held out; train on it with --test-share 0, or tell its images apart with "
            "--subject-pattern"
        )
    return draw_subjects(catalog, min(max(1, round(share * there)), there - 1), hold_out.split_seed)


def describe_split(
    data: Path, dataset: DatasetSettings, hold_out: HoldOut, parts: Split
) -> dict[str, Any]:
    """What evaluation needs to make the same split again, and to notice when data changed."""
    plugins = [plugin.content() for plugin in loaded_plugins()]
    return {
        "data": str(data.resolve()),
        "dataset": dataset_record(dataset),
        "hold_out": asdict(hold_out),
        "base_classes": list(parts.train.classes),
        "novel_classes": list(parts.test.classes),
        "train_subjects": list(parts.train.subjects),
        "test_subjects": list(parts.test.subjects),
        "train_images": len(parts.train),
        "test_images": len(parts.test),
        "train_fingerprint": parts.train.fingerprint,
        "test_fingerprint": parts.test.fingerprint,
        "audit": audit_leakage(parts.train, parts.test).content(),
        **({"plugins": plugins} if plugins else {}),
    }
