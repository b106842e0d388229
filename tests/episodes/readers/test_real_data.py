"""The readers and samplers on data that nobody made for a test."""

import numpy as np

from episodes.catalog.class_areas import compute_class_areas
from episodes.catalog.loader import Loader
from episodes.io.read import read_header, read_labels
from episodes.io.write import write_mask
from episodes.readers import read_catalog
from episodes.sampling.sampler import EpisodeSampler, EpisodeSettings

ORGANS = {1: "liver", 2: "right kidney", 3: "left kidney", 4: "spleen"}


def test_abdomen(real_data, tmp_path):
    catalog = read_catalog(real_data("chaos_t2"), label_map=ORGANS)
    assert len(catalog) == 718
    assert len(catalog.subjects) == 20
    assert {sample.size for sample in catalog.samples} == {(256, 256)}
    assert catalog.notes == ()
    few = compute_class_areas(catalog.of_subjects(["1", "5"]))
    loader = Loader(64)
    sampler = EpisodeSampler(few, EpisodeSettings(way=2, min_area=200), loader=loader)
    episode = sampler.episode(3).check()
    assert episode.support_masks.eq(1).flatten(1).any(dim=1).all()
    assert len({key.split("#")[0] for key in (*episode.plan.query, *episode.plan.support[0])}) == 2
    # A patient's liver hangs on the left of the picture, the spleen on the right.
    sample = max(few.samples, key=lambda s: min(s.areas.get(n, 0) for n in ("liver", "spleen")))
    labels = loader.labels(sample, ("liver", "spleen")).numpy()
    liver, spleen = (np.argwhere(labels == value).mean(axis=0)[1] for value in (1, 2))
    assert liver < 32 < spleen
    path = sample.masks[0].pixels.path
    planes = read_labels(path).astype(np.uint8)
    copy = write_mask(tmp_path / "copy.nii.gz", planes, read_header(path).geometry)
    np.testing.assert_array_equal(read_labels(copy), planes)


def test_nuclei(real_data):
    catalog = read_catalog(real_data("dsb2018"), label_map="nucleus")
    assert len(catalog) == 471
    sizes = {sample.size for sample in catalog.samples}
    assert (256, 256) in sizes
    assert max(max(size) for size in sizes) > 1000
    chosen = {sample.key for sample in catalog.samples[::60]}
    few = compute_class_areas(catalog.filter(lambda sample: sample.key in chosen))
    assert few.classes == ("nucleus",)
    assert all(s.areas["nucleus"] > 0 for s in few.samples)
    episode = EpisodeSampler(few, EpisodeSettings(shot=3), loader=Loader(64)).episode(0).check()
    assert episode.support_masks.eq(1).flatten(2).any(dim=2).all()


def test_heart(real_data):
    root = real_data("sunnybrook")
    pattern = r"SC-[A-Z]+-(?:[A-Z]+-)?\d+"
    parts = {name: read_catalog(root / name, subject_pattern=pattern) for name in ("Train", "Test")}
    assert sum(map(len, parts.values())) == 805
    assert sum(len(catalog.subjects) for catalog in parts.values()) == 45
    assert not set(parts["Train"].subjects) & set(parts["Test"].subjects)
    few = compute_class_areas(parts["Test"].of_subjects(parts["Test"].subjects[:3]))
    assert few.classes == ("foreground",)
    episode = EpisodeSampler(few, loader=Loader(64)).episode(1).check()
    assert 0 < episode.support_masks.eq(1).sum() < 64 * 64 / 4
