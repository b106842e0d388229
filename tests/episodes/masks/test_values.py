"""Masks that are not exactly what they seem: read as a person would and said, or refused."""

import numpy as np
import pytest
from PIL import Image, ImageFilter

from episodes.catalog.class_areas import compute_class_areas
from episodes.catalog.class_report import classes_line
from episodes.errors import DataError
from episodes.io.mask_colours import COLOUR, value_name
from episodes.io.read import interpret_mask
from episodes.readers import read_catalog

ROWS, COLUMNS = np.mgrid[:96, :128]


def disc(row, column, radius):
    return (ROWS - row) ** 2 + (COLUMNS - column) ** 2 < radius**2


A, B = disc(40, 60, 25), disc(80, 20, 10)
AREA = int(A.sum())
MASK = A * np.uint8(255)


def levels(first, second):
    return np.where(B, second, np.where(A, first, 0)).astype(np.uint8)


def paint(colour, ground=(0, 0, 0)):
    pixels = np.full((96, 128, 3), ground, np.uint8)
    pixels[A] = colour
    return pixels


def photo():
    noise = np.random.default_rng(0).normal(60, 10, A.shape)
    return np.clip(noise + 120 * A, 0, 255).astype(np.uint8)


@pytest.fixture
def data(tmp_path):
    """Write masks beside pictures and measure them."""

    def write(*masks, label_map=None, ending="png", **options):
        for number, mask in enumerate(masks):
            for folder, pixels in (("images", photo()), ("masks", mask)):
                path = tmp_path / folder / f"{number}.{'png' if folder == 'images' else ending}"
                path.parent.mkdir(exist_ok=True)
                made = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
                made.save(path, **(options if folder == "masks" else {}))
        return compute_class_areas(read_catalog(tmp_path, label_map=label_map))

    return write


def areas(catalog):
    return [{n: a for n, a in (s.areas or {}).items() if a} for s in catalog.samples]


@pytest.mark.parametrize("quality", [30, 50, 75, 90, 95, 100])
@pytest.mark.parametrize("label_map", [None, "cell", {255: "cell"}])
def test_jpeg_masks_are_cut_at_one_half(data, quality, label_map):
    with pytest.warns(UserWarning, match=r"JPEG.*cut at one half between 0 and 255"):
        catalog = data(MASK, label_map=label_map, ending="jpg", quality=quality)
    name = "foreground" if label_map is None else "cell"
    assert areas(catalog)[0][name] == pytest.approx(AREA, abs=4)


def test_jpeg_masks_of_several_levels_keep_them(data):
    with pytest.warns(UserWarning, match="nearest level of 0, 85, 170"):
        catalog = data(levels(85, 170), ending="jpg", quality=75)
    assert areas(catalog) == [{"85": AREA, "170": int(B.sum())}]


@pytest.mark.parametrize("pixels", [A.astype(np.uint8), levels(1, 2), photo()])
@pytest.mark.parametrize("label_map", [None, "cell"])
def test_jpeg_of_class_numbers_or_pictures_is_refused(data, pixels, label_map):
    with pytest.raises(DataError, match=r"cannot be read for sure.*saved as JPEG"):
        data(pixels, label_map=label_map, ending="jpg", quality=90)


def test_smooth_edges_are_cut_and_wide_ones_refused_until_somebody_cuts_them(data):
    smooth = Image.fromarray(MASK).filter(ImageFilter.GaussianBlur(1.5))
    with pytest.warns(UserWarning, match="smooth edges: cut at one half"):
        assert areas(data(smooth)) == [{"foreground": AREA}]
    wide = Image.fromarray(MASK).filter(ImageFilter.GaussianBlur(6))
    for label_map in (None, "cell"):
        with pytest.raises(DataError, match=r"shades.*1-127=background 128-255="):
            data(wide, label_map=label_map)
    cut = {**dict.fromkeys(range(1, 128)), **dict.fromkeys(range(128, 256), "cell")}
    assert areas(data(wide, label_map=cut)) == [{"cell": int((np.asarray(wide) > 127).sum())}]


@pytest.mark.parametrize(
    "mask", [levels(1, 255), levels(128, 255), levels(1, 2) + np.uint8(253) * B]
)
def test_255_beside_other_values_is_refused_without_a_label_map(data, mask):
    with pytest.raises(DataError, match=r"255 is a class, or unknown, is not clear.*255=unknown"):
        data(mask)


def test_255_is_unknown_where_the_label_map_tells(data):
    assert areas(data(levels(1, 255), label_map={1: "cell", 255: "unknown"})) == [{"cell": AREA}]
    with pytest.raises(DataError, match=r"holds 255, which nobody named.*255=unknown"):
        data(levels(1, 255), label_map={1: "cell"})
    assert areas(data(levels(1, 255), label_map={255: "unknown"})) == [{"foreground": AREA}]


def test_masks_of_0_1_and_of_0_255_are_one_class(data):
    wide = Image.fromarray(A.astype(np.uint16) * 65535)
    with pytest.warns(UserWarning, match=r"0 and 1 in 1 .*0 and 255 in 1 .*the same class"):
        catalog = data(A.astype(np.uint8), MASK, wide)
    assert areas(catalog) == [{"foreground": AREA}] * 3
    assert classes_line(catalog) == (
        f"classes read from 3 masks: foreground {3 * AREA:,} px (15.8 %) in 3 of 3"
    )


@pytest.mark.parametrize("mask", [A + np.uint8(1), np.full((96, 128), 255, np.uint8)])
def test_masks_without_0_are_refused(data, mask):
    with pytest.raises(DataError, match=r"no pixel is 0.*background.*every pixel is NAME"):
        data(mask)
    assert areas(data(A + np.uint8(1), label_map={1: None, 2: "cell"})) == [{"cell": AREA}]


def test_black_on_white_is_refused_and_told(data):
    with pytest.raises(DataError, match=r"black on white.*0=NAME 255=background"):
        data(255 - MASK)
    assert areas(data(255 - MASK, label_map={0: "cell", 255: None})) == [{"cell": AREA}]
    with pytest.warns(UserWarning, match="cell surrounds the background"):
        data(255 - MASK, label_map="cell")


@pytest.mark.parametrize(
    "order", [np.arange(13), np.r_[0, np.random.default_rng(0).permutation(12) + 1]]
)
def test_objects_that_look_numbered_are_asked_about(data, order):
    objects = np.zeros((96, 128), np.uint8)
    for number in range(12):
        objects[disc(14 + 32 * (number // 4), 14 + 30 * (number % 4), 8)] = order[number + 1]
    with pytest.raises(DataError, match="as if they numbered objects"):
        data(objects)
    assert areas(data(objects, label_map="cell")) == [{"cell": int((objects > 0).sum())}]


def test_flat_colours_are_classes(data):
    with pytest.warns(UserWarning, match="flat colours were read: black, red"):
        assert areas(data(paint((255, 0, 0)))) == [{"red": AREA}]
    with pytest.warns(UserWarning, match="colours|white") as told:
        assert areas(data(paint((200, 0, 0), (255, 255, 255)))) == [{"#c80000": AREA}]
    assert "white was read as the background" in str(told[1].message)
    both = paint((200, 0, 0), (255, 255, 255))
    both[B] = 0
    with pytest.raises(DataError, match=r"black and white are there.*#c80000=NAME"):
        data(both)


def test_smooth_and_compressed_colours(data):
    red = paint((255, 0, 0))
    red[B] = (0, 255, 0)
    large = Image.fromarray(red).resize((256, 192), Image.Resampling.BICUBIC)
    with pytest.warns(UserWarning, match="nearest level of 0, green, red"):
        found = areas(data(large.resize((128, 96), Image.Resampling.BILINEAR)))[0]
    assert found["red"] == pytest.approx(AREA, abs=20)
    assert found["green"] == pytest.approx(int(B.sum()), abs=12)
    assert set(found) == {"red", "green"}


def test_paint_on_a_picture(data):
    picture = np.repeat(photo()[..., None], 3, axis=2)
    picture[A] = (255, 0, 0)
    with pytest.warns(UserWarning, match="painted on the picture in red"):
        assert areas(data(picture)) == [{"red": AREA}]
    picture = np.repeat(photo()[..., None], 3, axis=2)
    picture[A & ~disc(40, 60, 23)] = (255, 0, 0)
    with pytest.raises(DataError, match=r"outline.*--classes red=NAME"):
        data(picture)


def test_masks_in_the_alpha_channel(data):
    photograph = np.repeat(photo()[..., None], 3, axis=2)
    for colours in (paint((0, 0, 0)), paint((255, 0, 0)), photograph):
        with pytest.warns(UserWarning, match=r"transparency \(alpha\) was read as the mask"):
            assert areas(data(np.dstack([colours, MASK]))) == [{"foreground": AREA}]
    opaque = np.dstack([np.repeat(MASK[..., None], 3, axis=2), np.full_like(MASK, 255)])
    assert areas(data(opaque)) == [{"foreground": AREA}]


def test_pictures_are_no_masks(data):
    with pytest.raises(DataError, match="were image and mask exchanged"):
        data(photo())
    noise = np.random.default_rng(0).integers(0, 256, (96, 128, 3), np.uint8)
    with pytest.raises(DataError, match=r"colour picture of .*exchanged"):
        data(noise)


@pytest.mark.parametrize(
    ("shape", "hint"),
    [((192, 256), "2 times as large"), ((128, 96), "exchanged"), ((90, 128), "another image")],
)
def test_masks_of_another_size_are_refused_with_a_hint(data, shape, hint):
    with pytest.raises(DataError, match=rf"expected the same size.*{hint}"):
        data(np.ones(shape, np.uint8))


def test_masks_of_small_numbers_stay_as_they_are():
    labels = np.random.default_rng(0).integers(0, 60, (3, 9, 9)).astype(np.uint8)
    for numbers in (labels, labels.astype(np.uint16) * 900, labels.astype(np.int64) * 10**9):
        assert interpret_mask(numbers, "m").labels is numbers


def test_a_voc_mask_with_borders_stays_as_it_is():
    mask = np.zeros((96, 128), np.uint8)
    for number in range(20):
        place = (14 + 22 * (number // 5), 14 + 24 * (number % 5))
        mask[disc(*place, 10)] = 255
        mask[disc(*place, 8)] = number + 1
    np.testing.assert_array_equal(interpret_mask(mask[None], "m").labels[0], mask)


def test_shares_from_0_to_1():
    sharp = 1 / (1 + np.exp(np.hypot(ROWS - 40, COLUMNS - 60) - 25))
    found = interpret_mask(sharp[None], "m")
    assert "cut at one half" in found.note
    np.testing.assert_array_equal(found.labels[0], sharp >= 0.5)
    soft = interpret_mask(sharp[None] ** 0.1, "m")
    assert "fractions from 0 to 1" in soft.doubt


def test_names_of_colours():
    assert [value_name(v) for v in (7, COLOUR | 0xFF0000, COLOUR | 1)] == ["7", "red", "#000001"]
