"""Pixels of DICOM, held against values written down bit by bit."""

import itertools

import numpy as np
import pydicom
import pytest

from episodes.errors import DataError
from episodes.io.read import planes_of
from episodes.readers import read_catalog
from tests.episodes.dicom_files import series, slice_file, volume


def planes(root):
    return planes_of(read_catalog(root).samples[0].image)


GRID = [
    (bits, stored, signed, rescale, photometric)
    for bits, stored in ((8, 8), (8, 5), (16, 12), (16, 16), (32, 32))
    for signed, rescale, photometric in itertools.product(
        (False, True), (None, (2.0, -5.0)), ("MONOCHROME1", "MONOCHROME2")
    )
]


@pytest.mark.parametrize(("bits", "stored", "signed", "rescale", "photometric"), GRID)
def test_every_kind_of_integer(tmp_path, bits, stored, signed, rescale, photometric):
    generator = np.random.default_rng(bits + stored)
    low = -(1 << (stored - 1)) if signed else 0
    values = generator.integers(low, low + (1 << stored), (6, 7), dtype=np.int64)
    raw = values & ((1 << stored) - 1)
    if stored < bits:  # overlays and garbage lie in the unused bits
        raw |= generator.integers(0, 1 << (bits - stored), values.shape) << stored
    kind = np.dtype(f"{'i' if signed else 'u'}{bits // 8}")
    changes = {"PhotometricInterpretation": photometric, "Modality": "MR"}
    if rescale:
        changes |= {"RescaleSlope": rescale[0], "RescaleIntercept": rescale[1]}
    pixels = raw.astype(f"u{bits // 8}").view(kind)
    slice_file(tmp_path / "a.dcm", pixels, BitsStored=stored, HighBit=stored - 1, **changes)
    expected = values * rescale[0] + rescale[1] if rescale else values
    if photometric == "MONOCHROME1":
        expected = expected.max() - expected + expected.min()
    found = planes(tmp_path)[0]
    if rescale:  # float32 resolves 24 of 32 bits
        np.testing.assert_allclose(found, expected, rtol=1e-6, atol=600 * (stored == 32))
    else:
        np.testing.assert_array_equal(found, expected)
    assert found.dtype == (np.float32 if rescale else kind)


def test_slopes_of_each_slice(tmp_path):
    for z, plane in enumerate(volume()):
        slice_file(
            tmp_path / f"{z}.dcm",
            plane,
            position=(0, 0, z),
            number=z,
            RescaleSlope=z + 1,
            RescaleIntercept=0,
        )
    np.testing.assert_array_equal(planes(tmp_path), volume() * np.array([1, 2, 3])[:, None, None])


PADDED = {
    "value": ({"PixelPaddingValue": -2000, "Modality": "MR"}, (-2000,)),
    "range": (
        {"PixelPaddingValue": -2000, "PixelPaddingRangeLimit": -1990, "Modality": "MR"},
        (-2000, -1995),
    ),
    "unsigned": ({"PixelPaddingValue": 63536, "Modality": "MR"}, (-2000,)),
    "not named, in CT": ({}, (-3024,)),
}


@pytest.mark.parametrize("name", PADDED)
@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
def test_padding_stretches_no_range(tmp_path, name, photometric):
    changes, values = PADDED[name]
    pixels = volume()[1] - 900
    padded = pixels.copy()
    padded[0, : len(values)] = values
    slice_file(tmp_path / "a.dcm", padded, PhotometricInterpretation=photometric)
    data = pydicom.dcmread(tmp_path / "a.dcm")
    for key, value in changes.items():
        data.add_new(key, "CS" if key == "Modality" else "US" if value == 63536 else "SS", value)
    data.save_as(tmp_path / "a.dcm")
    rest = pixels.ravel()[len(values) :]
    least, most = rest.min(), rest.max()
    expected = np.concatenate(
        [[least] * len(values), rest if photometric[-1] == "2" else most - rest + least]
    )
    np.testing.assert_array_equal(planes(tmp_path).ravel(), expected)


def test_air_without_padding_stays(tmp_path):
    pixels = volume()[1] - 1130  # down to -1030: noise of air
    slice_file(tmp_path / "a.dcm", pixels)
    np.testing.assert_array_equal(planes(tmp_path)[0], pixels)


def test_colours_by_planes_and_by_a_palette(tmp_path):
    pixels = np.arange(36, dtype=np.uint8).reshape(3, 4, 3)
    data = slice_file(tmp_path / "rgb" / "a.dcm", pixels, PlanarConfiguration=1)
    data.PixelData = pixels.transpose(2, 0, 1).tobytes()
    data.save_as(tmp_path / "rgb" / "a.dcm")
    np.testing.assert_array_equal(planes(tmp_path / "rgb")[0], pixels)
    numbers = np.arange(12, dtype=np.uint8).reshape(3, 4) % 4
    data = slice_file(
        tmp_path / "palette" / "a.dcm", numbers, PhotometricInterpretation="PALETTE COLOR"
    )
    table = np.array([[0, 255, 10, 7], [5, 0, 20, 8], [9, 1, 30, 9]], np.uint8)  # red, green, blue
    for name, row in zip(("Red", "Green", "Blue"), table, strict=True):
        setattr(data, f"{name}PaletteColorLookupTableDescriptor", [4, 0, 8])
        setattr(data, f"{name}PaletteColorLookupTableData", row.tobytes())
    data.save_as(tmp_path / "palette" / "a.dcm")
    np.testing.assert_array_equal(planes(tmp_path / "palette")[0], table.T[numbers])


SYNTAXES = {
    "implicit": (True, True),
    "explicit": (False, True),
}


@pytest.mark.parametrize("name", SYNTAXES)
@pytest.mark.parametrize("ending", [".dcm", ""])
def test_files_without_the_mark_at_their_start(tmp_path, name, ending):
    for data in series(tmp_path / "marked"):
        path = tmp_path / "plain" / f"IM{data.InstanceNumber}{ending}"
        path.parent.mkdir(exist_ok=True)
        implicit, little = SYNTAXES[name]
        del data.file_meta
        data.preamble = None
        pydicom.dcmwrite(
            path, data, implicit_vr=implicit, little_endian=little, force_encoding=True
        )
        assert path.read_bytes()[:2] == b"\x08\0"
    np.testing.assert_array_equal(planes(tmp_path / "plain"), volume())


def test_what_nothing_unpacks_is_named_before_pixels_are_read(tmp_path):
    data = slice_file(tmp_path / "a.dcm", volume()[0].astype(np.uint16))
    data.PixelData = pydicom.encaps.encapsulate([b"no JPEG"])
    data["PixelData"].VR = "OB"
    for syntax, words in (
        (pydicom.uid.JPEGLossless, "JPEG Lossless, .* install one of gdcm: gdcm>=3.* or pylibjpeg"),
        (pydicom.uid.MPEG2MPML, "MPEG2 Main Profile .*which is not read; save it uncompressed"),
    ):
        data.file_meta.TransferSyntaxUID = syntax
        data.save_as(tmp_path / "a.dcm")
        if syntax == pydicom.uid.MPEG2MPML or not pydicom.pixels.get_decoder(syntax).is_available:
            with pytest.raises(DataError, match=rf"a.dcm is packed as {words}"):
                read_catalog(tmp_path)
