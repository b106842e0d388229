import json
import struct
import sys
import zlib

import numcodecs
import numpy as np
import pytest
import zarr

from episodes.catalog.class_areas import compute_class_areas
from episodes.catalog.loader import Loader
from episodes.errors import DataError
from episodes.io.formats.zarr_chunks import unpacked_size
from episodes.io.read import planes_of
from episodes.readers import omezarr, read_catalog

VOXELS = np.random.default_rng(0).integers(0, 4000, (2, 12, 16)).astype(np.uint16)
CELLS = (VOXELS > 2000).astype(np.uint16) * 300


def group(path, version, values, axes, compressors="auto", shards=None, **attributes):
    """Write a group with one level."""
    store = zarr.open_group(path, mode="a", zarr_format=version)
    chunks = (*(1,) * (values.ndim - 2), 8, 8)
    store.create_array("0", data=values, chunks=chunks, shards=shards, compressors=compressors)
    said = {"axes": axes, "datasets": [{"path": "0"}]}
    content = {"multiscales": [said], **attributes}
    store.attrs.update({"ome": content} if version == 3 else content)


def labels(path, version, name, values, axes, **attributes):
    content = {"labels": [name]}
    store = zarr.open_group(path / "labels", mode="a", zarr_format=version)
    store.attrs.update({"ome": content} if version == 3 else content)
    group(path / "labels" / name, version, values, axes, **attributes)


ZYX = [{"name": name, "type": "space"} for name in "zyx"]


@pytest.mark.parametrize("version", [2, 3])
def test_planes_and_objects(tmp_path, version):
    group(tmp_path / "a.zarr", version, VOXELS, ZYX)
    labels(tmp_path / "a.zarr", version, "nucleus", CELLS, ZYX)
    catalog = compute_class_areas(read_catalog(tmp_path))
    assert catalog.layout == "omezarr"
    assert [s.key for s in catalog.samples] == ["a.zarr#0", "a.zarr#1"]
    assert (catalog.subjects, catalog.classes) == (("a.zarr",), ("nucleus",))
    assert catalog.samples[0].size == (12, 16)
    np.testing.assert_array_equal(planes_of(catalog.samples[1].image), VOXELS)
    assert [s.areas["nucleus"] for s in catalog.samples] == (CELLS > 0).sum((1, 2)).tolist()
    assert Loader(32).image(catalog.samples[0]).shape == (1, 32, 32)
    assert len(read_catalog(tmp_path / "a.zarr")) == 2  # the group itself


@pytest.mark.parametrize("version", [2, 3])
def test_properties_name_the_values(tmp_path, version):
    values = (VOXELS > 1000).astype(np.uint8) + (VOXELS > 2000)
    said = [{"label-value": 1, "class": "wall"}, {"label-value": 2, "class": "nucleus"}]
    group(tmp_path / "a.zarr", version, VOXELS, ZYX)
    labels(
        *(tmp_path / "a.zarr", version, "parts", values, ZYX),
        **{"image-label": {"properties": said, "colors": [{"label-value": 1}]}},
    )
    catalog = compute_class_areas(read_catalog(tmp_path))
    assert catalog.classes == ("wall", "nucleus")
    assert catalog.samples[0].areas["wall"] == (values[0] == 1).sum()
    assert read_catalog(tmp_path, label_map="cell").classes == ("cell",)


def test_channels_and_times(tmp_path):
    films = np.stack([np.stack([VOXELS + 10 * c + 100 * t for c in range(4)]) for t in range(3)])
    axes = [{"name": name} for name in ("t", "c", "z", "y", "x")]
    group(tmp_path / "a.zarr", 2, films, axes)
    with pytest.raises(DataError, match=r"a.zarr has 4 channels \(axes TCZYX\); expected 1, 2 or"):
        read_catalog(tmp_path)
    catalog = omezarr.read(tmp_path, channel=2)
    assert len(catalog) == 6
    found = planes_of(catalog.samples[0].image)
    np.testing.assert_array_equal(found, np.concatenate(films[:, 2]))
    with pytest.raises(DataError, match=r"4 channels; channel 4 is not there"):
        omezarr.read(tmp_path, channel=4)


def test_three_channels_are_colour(tmp_path):
    group(tmp_path / "a.zarr", 2, np.stack([VOXELS] * 3), ["c", "z", "y", "x"])
    image = read_catalog(tmp_path).samples[0].image
    np.testing.assert_array_equal(planes_of(image), np.stack([VOXELS] * 3, 3))


def test_labels_of_another_size(tmp_path):
    group(tmp_path / "a.zarr", 2, VOXELS, ZYX)
    labels(tmp_path / "a.zarr", 2, "nucleus", CELLS[:, :8], ZYX)
    with pytest.raises(DataError, match=r"nucleus has 2 planes of \(8, 16\); its image has 2 of"):
        read_catalog(tmp_path)


def scaled(path, scale, start=(0, 0, 0)):
    """Give the finest level of a group a spacing and a position."""
    content = json.loads((path / ".zattrs").read_text())
    (level,) = content["multiscales"][0]["datasets"]
    level["coordinateTransformations"] = [
        {"type": "scale", "scale": list(scale)},
        {"type": "translation", "translation": list(start)},
    ]
    (path / ".zattrs").write_text(json.dumps(content))


def test_labels_elsewhere(tmp_path):
    root = tmp_path / "a.zarr"
    group(root, 2, VOXELS, ZYX)
    labels(root, 2, "nucleus", CELLS, ZYX)
    scaled(root, (2, 0.5, 0.5), (0, 10, 0))
    nucleus = root / "labels" / "nucleus"
    assert len(read_catalog(tmp_path)) == 2  # the label image names no place
    scaled(nucleus, (2, 0.5, 0.5), (0, 10.01, 0))
    assert len(read_catalog(tmp_path)) == 2
    for scale, start, words in (
        ((2, 1, 1), (0, 10, 0), "y it has steps of 1 from 10 on, and the image of 0.5"),
        ((2, 0.5, 0.5), (0, 12, 0), "y it has steps of 0.5 from 12 on"),
    ):
        scaled(nucleus, scale, start)
        with pytest.raises(DataError, match=rf"nucleus does not lie .* along {words}"):
            read_catalog(tmp_path)
        assert len(read_catalog(tmp_path, ignore_affine=True)) == 2


def change(path, **values):
    content = json.loads(path.read_text())
    content.update(values)
    path.write_text(json.dumps(content))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"shape": [2, 10**6, 10**6]}, r"declares 2 x 1000000 x 1000000"),
        ({"chunks": [1, 10**6, 10**6]}, r"a chunk of .* declares 1 x 1000000 x 1000000"),
        ({"filters": [{"id": "pickle"}]}, r"uses the codec 'pickle'; only .*blosc.* are read"),
        ({"compressor": {"id": "json2"}}, r"uses the codec 'json2'"),
        ({"dtype": "<c16", "fill_value": [0, 0]}, r"holds complex128; expected numbers"),
        ({"zarr_format": 9}, r"cannot be read as Zarr array"),
    ],
)
def test_arrays_that_are_refused(tmp_path, changes, message):
    group(tmp_path / "a.zarr", 2, VOXELS, ZYX)
    change(tmp_path / "a.zarr" / "0" / ".zarray", **changes)
    with pytest.raises(DataError, match=message):
        read_catalog(tmp_path)


def test_a_codec_within_a_shard_is_looked_at_too(tmp_path):
    group(tmp_path / "a.zarr", 3, VOXELS, ZYX)
    inner = {"codecs": [{"name": "numcodecs.pickle"}], "index_codecs": [{"name": "bytes"}]}
    shard = {"name": "sharding_indexed", "configuration": inner}
    change(tmp_path / "a.zarr" / "0" / "zarr.json", codecs=[shard])
    with pytest.raises(DataError, match=r"uses the codec 'pickle'"):
        read_catalog(tmp_path)


@pytest.mark.parametrize("path", ["../../secret", "/etc"])
def test_paths_that_lead_out(tmp_path, path):
    group(tmp_path / "a.zarr", 2, VOXELS, ZYX)
    said = [{"axes": ZYX, "datasets": [{"path": path}]}]
    change(tmp_path / "a.zarr" / ".zattrs", multiscales=said)
    with pytest.raises(DataError, match=r"leads out of .*a.zarr"):
        read_catalog(tmp_path)


def test_damaged_metadata_and_chunks(tmp_path):
    group(tmp_path / "a.zarr", 2, VOXELS, ZYX)
    catalog = read_catalog(tmp_path)
    chunk = tmp_path / "a.zarr" / "0" / "0.0.0"
    chunk.write_bytes(chunk.read_bytes()[:9])
    with pytest.raises(DataError, match=r"a.zarr cannot be read as Zarr"):
        planes_of(catalog.samples[0].image)
    (tmp_path / "a.zarr" / ".zattrs").write_text("[]")
    with pytest.raises(DataError, match=r"a.zarr cannot be read as Zarr group"):
        read_catalog(tmp_path)


def test_without_zarr_the_extra_is_named(tmp_path, monkeypatch):
    group(tmp_path / "a.zarr", 2, VOXELS, ZYX)
    monkeypatch.setitem(sys.modules, "zarr", None)
    with pytest.raises(DataError, match=r"needs zarr.*pip install 'fewshot-segmentation\[zarr"):
        read_catalog(tmp_path)


def bomb(codec):
    """Pack 40 MB of zeros."""
    return codec.encode(bytes(40 * 2**20))


@pytest.mark.parametrize(
    "codec",
    [
        *(numcodecs.GZip(), numcodecs.Zlib(), numcodecs.BZ2(), numcodecs.LZMA()),
        *(numcodecs.Zstd(), numcodecs.LZ4(), numcodecs.Blosc()),
    ],
)
def test_every_codec_is_read_and_chunks_that_grow_are_refused(tmp_path, codec):
    group(tmp_path / "a.zarr", 2, VOXELS, ZYX, compressors=codec)
    catalog = read_catalog(tmp_path)
    np.testing.assert_array_equal(planes_of(catalog.samples[0].image), VOXELS)
    (tmp_path / "a.zarr" / "0" / "0.0.0").write_bytes(bomb(codec))
    with pytest.raises(DataError, match=r"0.0.0 unpacks to more than the .* bytes of its place"):
        planes_of(catalog.samples[0].image)


def test_shards_are_read_and_their_chunks_looked_at(tmp_path):
    group(tmp_path / "a.zarr", 3, VOXELS, ZYX, shards=(2, 16, 16))
    catalog = read_catalog(tmp_path)
    np.testing.assert_array_equal(planes_of(catalog.samples[0].image), VOXELS)
    (shard,) = (path for path in (tmp_path / "a.zarr" / "0" / "c").rglob("*") if path.is_file())
    content = bytearray(shard.read_bytes())
    packed = bomb(numcodecs.Zstd())
    index = content[-(16 * 8 + 4) :]
    struct.pack_into("<QQ", index, 0, len(content), len(packed))
    shard.write_bytes(content + packed + index)
    with pytest.raises(DataError, match=r"unpacks to more than the .* bytes of its place"):
        planes_of(catalog.samples[0].image)


@pytest.mark.parametrize("size", [0, 1, 200, 300, 70_000])
def test_sizes_in_headers(size):
    content = np.random.default_rng(size).bytes(size)
    for codec, packer in (
        *(("zstd", numcodecs.Zstd()), ("lz4", numcodecs.LZ4()), ("blosc", numcodecs.Blosc())),
        *(("gzip", numcodecs.GZip()), ("bz2", numcodecs.BZ2()), ("lzma", numcodecs.LZMA())),
    ):
        if size or codec not in ("lz4", "blosc"):
            assert unpacked_size(codec, packer.encode(content), 10**6) == size
    twice = zlib.compress(content) + zlib.compress(content)
    assert unpacked_size("zlib", twice, 10**6) == 2 * size


def test_arrays_packed_twice_are_refused(tmp_path):
    group(tmp_path / "a.zarr", 2, VOXELS, ZYX, compressors=numcodecs.Zstd())
    change(tmp_path / "a.zarr" / "0" / ".zarray", filters=[{"id": "gzip", "level": 1}])
    with pytest.raises(DataError, match=r"is packed twice \(gzip, zstd\)"):
        planes_of(read_catalog(tmp_path).samples[0].image)
