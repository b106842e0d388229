"""The small data sets that ship with the package, each with its licence notice.

They lie as a user's own files would: point a reader at the folder. Every folder has a
``classes.json`` and a ``NOTICE.txt``; ``tools/make_bundled.py`` in the repository makes them.

``brain``
    the ICBM 2009 average T1 volume, with grey and white matter.
``nuclei``
    four tiles of one fluorescence image, with instances.
``nuclei3d``
    a confocal volume of cell nuclei, with instances.
``emoji``
    scenes of three objects out of 126 classes, drawn in three designs, with base and novel classes.
"""

from pathlib import Path

NAMES = ("brain", "nuclei", "nuclei3d", "emoji")


def path(name: str) -> Path:
    """Return the folder of a bundled data set.

    Args:
        name: "brain", "nuclei", "nuclei3d" or "emoji".

    Returns:
        The folder, inside the installed package.

    Raises:
        ValueError: there is no data set of that name.

    Example:
        >>> path("brain").joinpath("image_icbm.nii.gz").is_file()
        True
    """
    if name not in NAMES:
        raise ValueError(f"no bundled data set {name!r}; choose one of {', '.join(NAMES)}")
    return Path(__file__).parent / name
