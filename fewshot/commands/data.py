"""What the commands share: open a data set, split it as the settings say, remember the split."""

from dataclasses import asdict
from pathlib import Path

from episodes.audit import audit
from episodes.cache import cache_folder
from episodes.catalog import Catalog
from episodes.class_report import classes_line
from episodes.errors import DataError
from episodes.legend import Legend, parse_legend
from episodes.measure import measure
from episodes.readers import read
from episodes.splits import Split, draw_subjects, split
from fewshot.commands.train_options import Held


def open_catalog(
    data: Path,
    subject_pattern: str | None,
    classes: tuple[str, ...],
    cache: bool = True,
    *,
    ignore_affine: bool = False,
) -> Catalog:
    """Read a data set, measure its masks or remember what was measured, and print its classes."""
    catalog = read(
        data,
        subject_pattern=subject_pattern,
        legend=parse_names(classes),
        ignore_affine=ignore_affine,
    )
    for note in catalog.notes:
        print(f"note: {note}")
    measured = measure(catalog, progress=True, cache=cache_folder() if cache else None)
    print(classes_line(measured))
    return measured


def parse_names(names: tuple[str, ...]) -> Legend | None:
    """Read `1=liver 2=spleen 255=unknown`, or a single name for every non-zero value.

    Values may be ranges (`128-255=cell`) and colours (`red=cell`); see `parse_legend`.

    >>> parse_names(("1=liver", "2=spleen"))
    {1: 'liver', 2: 'spleen'}
    >>> parse_names(("nucleus",))
    'nucleus'
    """
    if not names:
        return None
    if len(names) == 1 and "=" not in names[0]:
        return parse_legend({"instances": names[0]})
    pairs = [name.partition("=") for name in names]
    if any(not mark for _, mark, _ in pairs):
        raise DataError(f"classes are {' '.join(names)!r}; expected 1=liver 2=spleen, or one name")
    values = [value for value, _, _ in pairs]
    if len(set(values)) < len(values):
        raise DataError(f"classes are {' '.join(names)!r}: a value has two names")
    return parse_legend({value: name for value, _, name in pairs})


def hold_out(catalog: Catalog, held: Held) -> Split:
    """Split as the settings say; without novel classes every class is on both sides."""
    if held.test_subjects:
        subjects = held.test_subjects
    else:
        if not 0 < held.test_share < 1:
            raise DataError(f"test-share is {held.test_share}; expected a share between 0 and 1")
        count = max(1, round(held.test_share * len(catalog.subjects)))
        subjects = draw_subjects(catalog, count, held.split_seed)
    if held.novel:
        return split(catalog, novel=held.novel, test_subjects=subjects, exclude=held.exclude)
    rest = [subject for subject in catalog.subjects if subject not in set(subjects)]
    return Split(catalog.of_subjects(rest), catalog.of_subjects(subjects))


def describe_split(data: Path, held: Held, parts: Split) -> dict:
    """What evaluation needs to make the same split again, and to notice when data changed."""
    return {
        "data": str(data.resolve()),
        "held": asdict(held),
        "base_classes": list(parts.train.classes),
        "novel_classes": list(parts.test.classes),
        "train_subjects": list(parts.train.subjects),
        "test_subjects": list(parts.test.subjects),
        "train_images": len(parts.train),
        "test_images": len(parts.test),
        "train_fingerprint": parts.train.fingerprint,
        "test_fingerprint": parts.test.fingerprint,
        "audit": audit(parts.train, parts.test).content(),
    }
