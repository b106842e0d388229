import json
import pickle
from dataclasses import replace

import numpy as np
import pytest
import torch

from episodes.catalog.catalog import Catalog, Sample
from episodes.catalog.class_areas import compute_class_areas
from episodes.catalog.letterbox import Letterbox
from episodes.catalog.loader import Loader
from episodes.errors import DataError
from episodes.io.pixels import MaskRef, PixelRef
from episodes.io.read import labels_of, planes_of, read_image, read_labels, read_planes
from episodes.masks.label_map import class_map
from episodes.readers import read_catalog


def test_size_of_one_image_fits_and_labels_follow(index_set):
    catalog = compute_class_areas(read_catalog(index_set))
    loader = Loader(56)
    sample = catalog.samples[0]
    image, labels = loader.image(sample), loader.labels(sample, catalog.classes)
    assert image.shape == (1, 56, 56)
    assert image.dtype == torch.float32
    truth = read_labels(index_set / "masks" / "p0_a.png")[0]
    assert (labels[8:48].numpy() == truth).all()  # 40 rows in 56: 8 of padding on either side
    assert (labels[:8] == 255).all()
    assert (labels[48:] == 255).all()
    pixels = read_image(index_set / "images" / "p0_a.png").astype(float)
    low, high = np.percentile(pixels, (0.5, 99.5))
    expected = ((pixels - low) / (high - low)).clip(0, 1)
    np.testing.assert_allclose(image[0, 8:48].numpy(), expected, atol=1e-3)  # kept as float16


def test_slices_of_a_volume_share_their_scale(tmp_path, make_png, stack_set):
    catalog = compute_class_areas(read_catalog(stack_set))
    loader = Loader(56)
    stack = read_planes(stack_set / "images" / "cells.tif")
    low, high = np.percentile(stack, (0.5, 99.5))
    for sample, page in zip(catalog.samples, stack, strict=True):
        expected = ((page - low) / (high - low)).clip(0, 1)
        np.testing.assert_allclose(loader.image(sample)[0, 8:48].numpy(), expected, atol=1e-3)


def test_classes_are_numbered_as_asked(index_set):
    catalog = compute_class_areas(read_catalog(index_set))
    loader, sample = Loader(56), catalog.samples[0]
    every = loader.labels(sample, ("disc", "bar", "square"))
    some = loader.labels(sample, ("square", "disc"))
    assert torch.equal(some == 1, every == 3)
    assert torch.equal(some == 2, every == 1)
    assert torch.equal(some == 0, (every == 0) | (every == 2))


def test_overlap_of_two_classes_is_unknown(tmp_path, make_png):
    make_png(tmp_path / "images" / "0.png", np.zeros((32, 32), np.uint8))
    for name, (start, stop) in {"a": (0, 20), "b": (10, 30), "c": (15, 32)}.items():
        mask = np.zeros((32, 32), np.uint8)
        mask[start:stop] = 255
        make_png(tmp_path / "masks" / name / "0.png", mask)
    catalog = compute_class_areas(read_catalog(tmp_path))
    sample, loader = catalog.samples[0], Loader(32)
    rows = loader.labels(sample, ("a", "b", "c"))[:, 0].tolist()
    assert rows == [1] * 10 + [255] * 20 + [3] * 2
    assert loader.labels(sample, ("a", "b"))[:, 0].tolist() == (
        [1] * 10 + [255] * 10 + [2] * 10 + [0] * 2
    )
    assert loader.labels(sample, ("c",))[:, 0].tolist() == [0] * 15 + [1] * 17


def test_an_image_without_a_mask_is_all_unknown(index_set):
    (index_set / "masks" / "p0_a.png").unlink()
    catalog = compute_class_areas(read_catalog(index_set))
    assert (Loader(64).labels(catalog.samples[0], ("disc",)) == 255).all()


def test_object_numbers_of_16_bits(tmp_path, make_png):
    make_png(tmp_path / "images" / "0.png", np.zeros((32, 32), np.uint8))
    objects = np.zeros((32, 32), np.uint16)
    objects[:4], objects[8:12] = 300, 65_535
    make_png(tmp_path / "masks" / "0.png", objects)
    (tmp_path / "classes.json").write_text(json.dumps({"instances": "cell"}))
    labels = Loader(32).labels(compute_class_areas(read_catalog(tmp_path)).samples[0], ("cell",))
    assert (labels.numpy() == (objects > 0)).all()


def test_labels_of_an_unmeasured_catalog_say_what_to_call(binary_set):
    with pytest.raises(DataError, match="has no label map yet; call"):
        Loader().labels(read_catalog(binary_set).samples[0], ("foreground",))


def test_a_missing_file_is_named(tmp_path):
    sample = Sample("x", PixelRef(tmp_path / "gone.png"), (), "x", (8, 8))
    with pytest.raises(DataError, match=r"no file .*gone.png"):
        Loader().image(sample)


@pytest.mark.parametrize(("room", "reads"), [(2**30, 4), (1, 12)])
def test_files_are_decoded_once_while_there_is_room(index_set, monkeypatch, room, reads):
    catalog = compute_class_areas(read_catalog(index_set))
    opened = []

    def record(path):
        opened.append(path)
        return read_planes(path)

    monkeypatch.setattr("episodes.io.read.read_planes", record)
    loader = Loader(32, cache_bytes=room)
    first = [loader.image(sample) for sample in catalog.samples[:4]]
    for _ in range(2):
        again = [loader.image(sample) for sample in catalog.samples[:4]]
        assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert len(opened) == reads


def test_the_least_recently_used_goes_first(index_set):
    samples = compute_class_areas(read_catalog(index_set)).samples
    loader = Loader(32, cache_bytes=3 * 32 * 32 * 2)  # three float16 images
    for number in (0, 1, 2, 0, 3):
        loader.image(samples[number])
    kept = [source.path.name for source, _ in loader._cache]
    assert kept == ["p1_a.png", "p0_a.png", "p1_b.png"]
    assert loader._bytes == 3 * 32 * 32 * 2


def test_images_may_be_changed_without_harm_to_the_cache(index_set):
    sample = compute_class_areas(read_catalog(index_set)).samples[0]
    loader = Loader(32)
    before = loader.image(sample).clone()
    loader.image(sample).zero_()
    loader.labels(sample, ("disc",)).zero_()
    assert torch.equal(loader.image(sample), before)
    assert (loader.labels(sample, ("disc",)) == 1).any()


def test_sizes_below_32():
    with pytest.raises(ValueError, match="size is 31 pixels; expected at least 32"):
        Loader(31)


def stripes(path, member):
    """A source made of many files, or of none: three planes that differ."""
    planes = np.zeros((3, 32, 32), np.uint8)
    planes[1, :8], planes[2, :16] = 1, 1
    return planes * np.uint8(200) if member == "grey" else planes


def odd(path, member):
    return {"flat": np.zeros(4), "four": np.zeros((1, 4, 4, 4)), "text": np.full((4, 4), "a")}[
        member
    ]


def test_a_reference_may_bring_its_own_reader(tmp_path):
    samples = tuple(
        Sample(
            key=f"s#{plane}",
            image=PixelRef(tmp_path, plane, stripes, "grey"),
            masks=(MaskRef(PixelRef(tmp_path, plane, stripes, "mask"), "stripe"),),
            subject="s",
            size=(32, 32),
        )
        for plane in range(3)
    )
    catalog = pickle.loads(pickle.dumps(compute_class_areas(Catalog(samples, ()))))
    assert [s.areas["stripe"] for s in catalog.samples] == [0, 256, 512]
    loader = Loader(32)
    assert loader.labels(catalog.samples[2], ("stripe",)).sum() == 512
    assert loader.image(catalog.samples[1])[0, :, 0].tolist() == [1.0] * 8 + [0.0] * 24
    assert len(loader._cache) == 2  # one entry a source, whatever the plane
    beyond = replace(samples[0], image=PixelRef(tmp_path, 3, stripes, "grey"))
    with pytest.raises(DataError, match=r":grey has 3 planes; plane 3 was expected"):
        loader.image(beyond)


@pytest.mark.parametrize("member", ["flat", "four", "text"])
def test_a_reader_that_returns_nonsense_is_named(tmp_path, member):
    with pytest.raises(DataError, match=rf":{member} was read as .* of shape .*; expected numbers"):
        planes_of(PixelRef(tmp_path, None, odd, member))


def merged(loader, sample, classes):
    """The slow reference: every mask over the requested classes alone, one laid over the other."""
    result = torch.zeros(loader.size, loader.size, dtype=torch.uint8)
    for mask in sample.masks:
        values = labels_of(mask.pixels)[0]
        found = class_map(values, mask.label_map, tuple(classes), "mask")
        labels = Letterbox(*sample.size, loader.size).fit_labels(torch.from_numpy(found))
        clash = (result > 0) & (labels > 0) & (result != labels)
        result = torch.where(labels > 0, labels, result)
        result[clash] = 255
    return result


LABEL_MAPS = ({1: "x", 2: "y", 5: "unknown"}, {3: "z", 1: None, 2: "unknown", 5: "x"}, "w")


@pytest.fixture
def overlapping(tmp_path, make_png):
    """One image whose masks overlap in every way, its classes among 300 of the last mask."""
    numbers = np.random.default_rng(0)
    label_maps = (*LABEL_MAPS, {value: f"c{value}" for value in range(1, 301)})
    masks = []
    for place, label_map in enumerate(label_maps):
        allowed = [0, 0, 0, *(label_map if isinstance(label_map, dict) else [7])]
        pixels = numbers.choice(np.array(allowed, np.uint16), (48, 40))
        path = tmp_path / f"{place}.png"
        make_png(path, pixels)
        masks.append(MaskRef(PixelRef(path), label_map))
    return Sample("s", PixelRef(tmp_path / "0.png"), tuple(masks), "s", (48, 40))


@pytest.mark.parametrize(
    "classes",
    [["x"], ["y"], ["w"], ["z", "x"], [*"wxyz"], ["c9"], ["c300", "x", "c255", "w"], ["v"]],
)
def test_label_maps_of_any_classes_against_merging_their_masks(overlapping, classes):
    loader = Loader(56)
    assert torch.equal(loader.labels(overlapping, classes), merged(loader, overlapping, classes))
    masks = replace(overlapping, masks=overlapping.masks[:3])  # fewer than 256 sets of classes
    assert torch.equal(loader.labels(masks, classes), merged(loader, masks, classes))


def test_more_classes_at_once_than_fit_in_a_byte(overlapping):
    with pytest.raises(DataError, match="300 classes at once; at most 254 fit"):
        Loader(56).labels(overlapping, [f"c{number}" for number in range(300)])


def test_label_maps_keep_to_their_memory(index_set, monkeypatch):
    side, samples = 32, compute_class_areas(read_catalog(index_set)).samples
    expected = {
        (sample.key, name): Loader(side).labels(sample, [name])
        for sample in samples
        for name in ("disc", "bar", "square")
    }
    monkeypatch.setattr("episodes.catalog.loader.MAP_BYTES", 5 * side * side)
    loader = Loader(side)
    for _ in range(2):
        for sample in samples:
            for name in ("disc", "bar", "square"):
                assert torch.equal(loader.labels(sample, [name]), expected[sample.key, name])
                held = sum(each.nbytes for each in loader._regions.values())
                assert held == loader._map_bytes <= 5 * side * side
    assert next(reversed(loader._regions)) == samples[-1].key


def test_only_so_many_label_maps_of_one_sample_are_kept(index_set):
    sample, loader = compute_class_areas(read_catalog(index_set)).samples[0], Loader(32)
    for number in range(1, 20):
        assert number in loader.kept_labels(sample, {"disc": number})
    assert loader._map_bytes == 9 * 32 * 32  # eight, and what they are made of


def test_equal_keys_of_two_catalogs_are_told_apart(index_set):
    sample, loader = compute_class_areas(read_catalog(index_set)).samples[0], Loader(32)
    named = loader.labels(sample, ("disc",))
    other = replace(sample, masks=())
    assert (loader.labels(other, ("disc",)) == 255).all()
    assert torch.equal(loader.labels(sample, ("disc",)), named)
    assert loader._map_bytes == sum(each.nbytes for each in loader._regions.values())
