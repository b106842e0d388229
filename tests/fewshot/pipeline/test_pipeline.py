"""A pipeline as a value: run, and its numbers against what was drawn."""

import numpy as np
import pytest
import tifffile
from PIL import Image

from episodes.errors import DataError
from fewshot import (
    Classes,
    Denoise,
    FuseLabels,
    LeastSize,
    Objects,
    Pipeline,
    Resample,
    Segment,
    Separate,
    Window,
    image_planes,
)
from fewshot.inference.inputs import ImageStack
from fewshot.inference.pixel_size import ASSUMED, UNKNOWN, pixel_size
from tests.fewshot.pipeline.scenes import geometry_of, squares

IMAGE, LABELS = squares((5, 5), (30, 40))
SEGMENT = Segment(IMAGE, LABELS, classes="square", predictor="threshold")


def test_objects_are_measured_in_the_original_intensities_and_the_border_is_marked():
    image, _ = squares((0, 20), (40, 10))
    steps = (Window(60, 120), Denoise("median"), SEGMENT, LeastSize("20 px"), Objects(), Classes())
    result = Pipeline(steps).run(image)
    first, second = result.tables["objects"]
    assert (first["touches_border"], second["touches_border"]) == (1, 0)
    inside = image[result.segmentation.labels[0] == 1]
    assert result.tables["classes"][0]["mean_intensity"] == pytest.approx(inside.mean())
    assert abs(second["pixels"] - 100) <= 8  # a median rounds corners
    assert (second["row"], second["column"]) == pytest.approx((44.5, 14.5), abs=0.2)
    assert second["max_intensity"] > 150  # outside of the window
    assert result.tables["classes"][0]["count"] == 2
    assert result.notes == (UNKNOWN,)


def test_an_empty_image_has_counts_of_0():
    result = Pipeline((SEGMENT, LeastSize("3000 px"), Objects(), Classes())).run(IMAGE)
    assert result.tables["objects"] == []
    (row,) = result.tables["classes"]
    assert (row["count"], row["total_area"], row["mean_area"]) == (0, 0, None)
    assert result.overlay().shape == (64, 64, 3)


def test_touching_objects_are_separated_on_request():
    image, _ = squares((20, 10), (20, 19))
    image[:22, 18:21] = image[28:, 18:21] = 5  # a neck between both
    counts = [
        Pipeline((SEGMENT, *more, Classes())).run(image).tables["classes"][0]["count"]
        for more in ((), (Separate(neck=0.1),), (Separate(neck=None),))
    ]
    assert counts == [1, 2, 1]


@pytest.mark.parametrize("factor", [0.5, 2])
def test_labels_of_a_resampled_image_come_back_on_its_own_grid(factor):
    image, labels = squares((8, 20), (40, 12), side=12)
    result = Pipeline((Resample(factor=factor), SEGMENT)).run(image)
    found = result.segmentation.labels[0]
    assert found.shape == image.shape
    dice = 2 * ((found > 0) & (labels > 0)).sum() / ((found > 0).sum() + (labels > 0).sum())
    assert dice > 0.9
    assert result.segmentation.source.pixels.dtype == np.uint8


def test_several_segment_steps_are_fused():
    other = Segment(IMAGE, LABELS, classes="square", predictor="copy-mask")
    steps = (SEGMENT, other, SEGMENT, FuseLabels(), Classes())
    image, _ = squares((40, 12))
    assert Pipeline(steps).run(image).tables["classes"][0]["count"] == 1


@pytest.mark.parametrize(
    ("geometry", "size", "note"),
    [
        (geometry_of((1, 4, 4), (1, 0.5, 0.5), 1.0), (0.25, "mm2"), ""),
        (geometry_of((1, 4, 4), (1, 2, 3), 0.001), (6, "um2"), ""),
        (geometry_of((2, 4, 4), (3, 2, 2), 1000.0), (12, "m3"), ""),
        (geometry_of((2, 4, 4), (3, 2, 2), None), (12, "mm3"), ASSUMED),
        (None, (1, "px"), UNKNOWN),
    ],
)
def test_sizes_have_the_unit_of_the_header(geometry, size, note):
    depth = 1 if geometry is None else geometry.plane_shape[0]
    found = pixel_size(ImageStack(np.zeros((depth, 4, 4)), "x", geometry=geometry))
    assert found.measure(depth) == pytest.approx(size) or found.measure(depth) == size
    assert found.note == note


def test_tiff_files_tell_the_size_of_a_pixel(tmp_path):
    pixels = np.zeros((3, 8, 9), np.uint8)
    ome, plain, imagej = (tmp_path / n for n in ("a.ome.tif", "b.tif", "c.tif"))
    sizes = {"PhysicalSizeX": 0.2, "PhysicalSizeY": 0.5, "PhysicalSizeZ": 2.0}
    tifffile.imwrite(ome, pixels, metadata={"axes": "ZYX", **sizes})
    tifffile.imwrite(plain, pixels[0], resolution=(72, 72), resolutionunit="INCH")
    tifffile.imwrite(
        *(imagej, pixels), imagej=True, resolution=(4, 4),
        metadata={"axes": "ZYX", "unit": "micron", "spacing": 3.0},
    )  # fmt: skip
    assert pixel_size(image_planes(ome)).measure(3) == (pytest.approx(0.2), "um3")
    assert pixel_size(image_planes(plain)).measure(1) == (1, "px")  # dots an inch are for printing
    assert pixel_size(image_planes(imagej)).measure(3) == (pytest.approx(3 / 16), "um3")


@pytest.mark.parametrize(
    ("steps", "words"),
    [
        ((), "segments nothing"),
        ((Objects(),), "segments nothing"),
        ((SEGMENT, SEGMENT), "2 segment and 0 fuse"),
        ((SEGMENT, FuseLabels()), "1 segment and 1 fuse"),
        ((Objects(), SEGMENT), "segment stands behind objects"),
        ((SEGMENT, Objects(), Objects()), "stands in the pipeline twice"),
        ((SEGMENT, 3), "a step is 3"),
    ],
)
def test_an_order_that_makes_no_sense_is_refused(steps, words):
    with pytest.raises(DataError, match=words):
        Pipeline(steps)


def test_settings_of_the_predictor_are_held_against_its_own():
    wrong = Segment(IMAGE, LABELS, predictor="threshold", settings={"sigma": 1})
    with pytest.raises(DataError, match="did you mean sigmas"):
        Pipeline((wrong,)).learn()
    network = Segment(IMAGE, LABELS, predictor="end-to-end", settings={"smooth": "wlaker"})
    with pytest.raises(DataError, match="did you mean walker"):
        Pipeline((network,)).learn()


def test_an_image_larger_than_the_annotated_one_is_told(annotated):
    """As `fewshot segment` does: both check it in the same place."""
    large = np.kron(IMAGE, np.ones((24, 24), np.uint8))
    Image.fromarray(large).save(annotated / "large.png")
    step = Segment(annotated / "support.png", annotated / "support_mask.png", predictor="slice")
    with pytest.raises(DataError, match="structures"):
        Pipeline((step,)).run(annotated / "large.png")
