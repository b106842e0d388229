"""One format a file; each reader turns a path into a Catalog without loading pixels."""

from pathlib import Path

from episodes.catalog import Catalog
from episodes.errors import DataError
from episodes.legend import Legend
from episodes.readers import folder, nifti

READERS = (nifti, folder)


def read(
    path: Path | str, *, subject_pattern: str | None = None, legend: Legend | None = None
) -> Catalog:
    """Read a data set with the first reader that recognises its layout.

    Args:
        path: the data set's folder.
        subject_pattern: regular expression whose first group (or whole match) in an item's name
            is the subject, e.g. `SC-[A-Z]+-[A-Z]*-?[0-9]+`; by default each file is a subject.
        legend: what mask values mean; by default from classes.json, or found out from them.

    Raises:
        DataError: the folder is missing, or no reader recognises it.
    """
    root = Path(path)
    if not root.is_dir():
        what = "is a file" if root.exists() else "does not exist"
        raise DataError(f"data set {root} {what}; expected a folder with images and masks")
    for reader in READERS:
        if reader.recognises(root):
            return reader.read(root, subject_pattern=subject_pattern, legend=legend)
    raise DataError(
        f"no reader recognises the layout of {root}; expected images/ and masks/ with files of "
        "the same names, a folder a class with images/ and masks/, or NIfTI pairs such as "
        "image_1.nii.gz and label_1.nii.gz"
    )
