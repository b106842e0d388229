"""The one tester of the family: what every loss must do, whatever its formula.

A new loss is tested by a subclass of `LossContract` that names the loss and its slow reference.
"""

import functools

import numpy as np
import pytest
import torch
from beartype import beartype
from hypothesis import given, settings
from hypothesis import strategies as st
from jaxtyping import jaxtyped

from .samples import IGNORE, batch, gradient

SHAPES = [(6, 7), (4, 5, 3)]
REDUCTIONS = ["mean", "sum", "none"]


class LossContract:
    """Subclass it with `loss`, `reference` and, where they differ, the properties below."""

    loss = None
    """`loss(logits, target, *, ignore_index, reduction)`, settings bound, distances computed."""
    reference = None
    """`reference(logits, labels)` of one image in NumPy: a number, or one value a pixel."""
    pixelwise = False
    """One value a pixel instead of one an image."""
    pixels_are_a_set = True
    """The place of a pixel does not matter, so any pixels can be cropped, not only margins."""
    images_are_independent = True
    bounded = True
    """Between 0 and 1 an image."""
    minimum = 0.0
    """Value of a perfect prediction; None where it depends on the image."""
    classes = None
    """The only number of classes that the settings of the loss allow; None for any."""

    @pytest.mark.parametrize("space", SHAPES)
    @pytest.mark.parametrize("ignored", [0.0, 0.3])
    def test_agrees_with_the_slow_reference(self, space, ignored):
        for seed, present in enumerate([None, [0], [2], [0, 1]]):
            logits, target = batch(space, seed=seed, ignored=ignored, present=present)
            if not self.images_are_independent:
                logits, target = logits[:1], target[:1]
            expected = [
                self.reference(a, b) for a, b in zip(logits.numpy(), target.numpy(), strict=True)
            ]
            actual = self.loss(logits, target, ignore_index=255, reduction="none")
            torch.testing.assert_close(actual, torch.tensor(np.array(expected)))

    def test_properties(self):
        @settings(max_examples=20, deadline=None, derandomize=True, database=None)
        @given(
            seed=st.integers(0, 10**6),
            classes=st.just(self.classes) if self.classes else st.integers(2, 5),
            ignored=st.sampled_from([0.0, 0.2, 0.9]),
            scale=st.sampled_from([0.0, 1.0, 100.0]),
        )
        def hold(seed, classes, ignored, scale):
            logits, target = batch((5, 4), classes, 3, seed, ignored)
            self.check_properties(scale * logits, target)

        hold()

    def check_properties(self, logits, target):
        value, slope = gradient(self.loss, logits, target, ignore_index=255, reduction="none")
        assert value.shape == (target.shape if self.pixelwise else target.shape[:1])
        assert value.isfinite().all()
        assert slope.isfinite().all()
        assert (slope.movedim(1, -1)[target == IGNORE] == 0).all()
        # Softmax does not see a constant that is added to all logits.
        torch.testing.assert_close(slope.sum(1), torch.zeros_like(slope.sum(1)))
        if self.minimum is not None:
            assert (value >= 0).all()
        if self.bounded:
            assert (value <= 1 + 1e-9).all()

    @pytest.mark.parametrize("space", SHAPES)
    def test_reductions(self, space):
        logits, target = batch(space, ignored=0.2)
        each = self.loss(logits, target, reduction="none")
        assert each.shape == (target.shape if self.pixelwise else target.shape[:1])
        torch.testing.assert_close(self.loss(logits, target, reduction="sum"), each.sum())
        torch.testing.assert_close(self.loss(logits, target), self.mean(each, target))

    def mean(self, each, target):
        return each[target != IGNORE].mean() if self.pixelwise else each.mean()

    @pytest.mark.parametrize("space", SHAPES)
    def test_ignoring_a_margin_is_cropping_it(self, space):
        logits, target = batch(space)
        target[:, -2:] = IGNORE
        logits[:, :, -2:] = float("nan")  # not even a NaN gets out of an ignored pixel
        value, slope = gradient(self.loss, logits, target)
        cropped, cropped_slope = gradient(self.loss, logits[:, :, :-2], target[:, :-2])
        torch.testing.assert_close(value, cropped)
        torch.testing.assert_close(slope[:, :, :-2], cropped_slope)
        assert (slope[:, :, -2:] == 0).all()

    def test_ignoring_scattered_pixels_is_cropping_them(self):
        logits, target = batch((40,) if self.pixels_are_a_set else (8, 5), images=1, ignored=0.4)
        if not self.pixels_are_a_set:
            # There the place matters, but what stands in an ignored pixel must not.
            other = torch.where((target == IGNORE).unsqueeze(1), logits.flip(1) + 5, logits)
            torch.testing.assert_close(self.loss(logits, target), self.loss(other, target))
            return
        kept = target[0] != IGNORE
        value, slope = gradient(self.loss, logits, target)
        cropped, cropped_slope = gradient(self.loss, logits[:, :, kept], target[:, kept])
        torch.testing.assert_close(value, cropped)
        torch.testing.assert_close(slope[:, :, kept], cropped_slope)

    @pytest.mark.parametrize("reduction", REDUCTIONS)
    @pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
    def test_all_ignored_is_zero_with_a_graph(self, reduction, dtype):
        logits, _ = batch((6, 7), dtype=dtype)
        logits[0, 0] = float("nan")
        target = torch.full((2, 6, 7), IGNORE)
        value, slope = gradient(self.loss, logits, target, reduction=reduction)
        assert (value == 0).all()
        assert (slope == 0).all()

    def test_an_ignored_image_does_not_dilute_the_mean(self):
        logits, target = batch((6, 7))
        target[1] = IGNORE
        alone = self.loss(logits[:1], target[:1])
        torch.testing.assert_close(self.loss(logits, target), alone)

    def test_another_ignore_index(self):
        logits, target = batch((6, 7), ignored=0.3)
        expected = self.loss(logits, target)
        for other in (-100, 1000):
            renamed = target.masked_fill(target == IGNORE, other)
            torch.testing.assert_close(self.loss(logits, renamed, ignore_index=other), expected)
        hidden = target.masked_fill(target == 2, IGNORE)
        renamed = target.masked_fill(target == IGNORE, 2)
        torch.testing.assert_close(
            self.loss(logits, renamed, ignore_index=2), self.loss(logits, hidden)
        )

    def test_an_absent_class_still_penalises_false_positives(self):
        logits, target = batch((6, 7), present=[0, 1])
        value, _ = gradient(self.loss, logits, target)
        louder = logits.clone()
        louder[:, 2] += 1.0
        worse, slope = gradient(self.loss, louder, target)
        assert worse > value
        assert slope[:, 2].sum() > 1e-3

    @pytest.mark.parametrize("label", [0, 1], ids=["empty", "full"])
    @pytest.mark.parametrize("classes", [2, 4])
    def test_empty_and_full_masks_teach(self, label, classes):
        logits, target = batch((6, 7), self.classes or classes, present=[label])
        value, slope = gradient(self.loss, logits, target)
        assert value.isfinite()
        assert slope.isfinite().all()
        assert slope.abs().sum() > 1e-3
        assert slope[:, label].sum() < 0  # more of what is there is better

    @pytest.mark.parametrize("present", [None, [0], [1]])
    @pytest.mark.parametrize("dtype", [torch.float16, torch.float32, torch.float64])
    def test_saturated_predictions(self, present, dtype):
        _, target = batch((6, 7), present=present)
        right = 60000.0 * torch.nn.functional.one_hot(target, 3).movedim(-1, 1).to(dtype)
        best, best_slope = gradient(self.loss, right, target)
        worst, worst_slope = gradient(self.loss, -right, target)
        assert best.isfinite()
        assert worst.isfinite()
        assert best < worst
        assert best_slope.isfinite().all()
        assert worst_slope.isfinite().all()
        if self.minimum is not None:
            assert abs(best - self.minimum) < 1e-6

    @pytest.mark.parametrize("space", [(3, 4), (2, 3, 3)])
    def test_gradcheck(self, space):
        for present, ignored in [(None, 0.0), ([0, 1], 0.3)]:
            logits, target = batch(space, seed=3, ignored=ignored, present=present)
            for reduction in REDUCTIONS:
                loss = functools.partial(self.loss, target=target, reduction=reduction)
                assert torch.autograd.gradcheck(loss, (logits.requires_grad_(),))

    @pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
    def test_half_precision_at_512(self, dtype):
        generator = torch.Generator().manual_seed(5)
        logits = 4 * torch.randn(1, 3, 512, 512, generator=generator)
        logits = logits.to(dtype)
        target = torch.zeros(1, 512, 512, dtype=torch.uint8)
        target[:, 100:400, 30:50] = 1
        target[:, 300:500, 200:500] = 2
        value, slope = gradient(self.loss, logits, target)
        exact = self.loss(logits.double(), target)
        assert value.dtype == torch.float32
        assert slope.dtype == dtype
        assert slope.isfinite().all()
        assert (slope != 0).any()
        torch.testing.assert_close(value.double(), exact, rtol=2e-6, atol=1e-7)

    def test_autocast_changes_nothing(self):
        logits, target = batch((6, 7), dtype=torch.float32)
        expected = gradient(self.loss, logits, target)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            actual = gradient(self.loss, logits, target)
        torch.testing.assert_close(actual, expected, rtol=0, atol=0)

    def test_memory_layout_and_label_dtype_change_nothing(self):
        logits, target = batch((6, 7), ignored=0.2)
        expected = self.loss(logits, target)
        strided = logits.to(memory_format=torch.channels_last)
        torch.testing.assert_close(self.loss(strided, target), expected)
        torch.testing.assert_close(
            self.loss(logits.mT, target.mT),
            self.loss(logits.mT.contiguous(), target.mT.contiguous()),
        )
        for dtype in (torch.uint8, torch.int16, torch.int32):
            torch.testing.assert_close(self.loss(logits, target.to(dtype)), expected)

    def test_inputs_stay_as_they_are(self):
        logits, target = batch((6, 7), ignored=0.2)
        copies = logits.clone(), target.clone()
        gradient(self.loss, logits, target)
        torch.testing.assert_close((logits, target), copies)

    def test_an_image_is_worth_the_same_in_a_batch(self):
        if not self.images_are_independent:
            pytest.fail("a loss whose images depend on each other must override this test")
        logits, target = batch((6, 7), images=3, ignored=0.2)
        together = self.loss(logits, target, reduction="none")
        alone = [
            self.loss(logits[i : i + 1], target[i : i + 1], reduction="none") for i in range(3)
        ]
        torch.testing.assert_close(together, torch.cat(alone))

    @pytest.mark.parametrize("space", SHAPES)
    def test_annotations_hold(self, space):
        logits, target = batch(space, ignored=0.2)
        checked = jaxtyped(self.function(), typechecker=beartype)
        keywords = getattr(self.loss, "keywords", {}) | self.tensors(target, logits.shape[1])
        for reduction in REDUCTIONS:
            value = checked(logits, target, reduction=reduction, **keywords)
            torch.testing.assert_close(value, self.loss(logits, target, reduction=reduction))

    def function(self):
        return getattr(self.loss, "func", self.loss)

    def tensors(self, target, classes):
        """Return further tensors that the function takes."""
        return {}

    @pytest.mark.parametrize("label", [3, 254, 999, -1])
    def test_a_label_out_of_range_is_named(self, label):
        logits, target = batch((6, 7), ignored=0.2)
        target[0, 2, 2] = label
        with pytest.raises(ValueError, match=rf"label {label}, .*0\.\.2.*ignore_index=255"):
            self.loss(logits, target)

    def test_an_ignore_index_that_wraps_in_uint8_hides_nothing(self):
        logits, target = batch((6, 7))
        target = target.to(torch.uint8)
        target[0, 0, 0] = 156  # -100 modulo 256
        with pytest.raises(ValueError, match="label 156"):
            self.loss(logits, target, ignore_index=-100)

    @pytest.mark.parametrize(
        ("shape", "target_shape", "message"),
        [
            ((2, 3, 6, 7), (2, 1, 6, 7), r"target\.squeeze\(1\)"),
            ((2, 3, 6, 7), (2, 3, 6, 7), r"target\.argmax\(1\)"),
            ((2, 3, 6, 7), (2, 7, 6), r"\[2, 3, 6, 7\] and target \[2, 7, 6\]"),
            ((2, 3, 6, 7), (1, 6, 7), "do not match"),
            ((2, 1, 6, 7), (2, 6, 7), r"torch\.cat"),
            ((0, 3, 6, 7), (0, 6, 7), "no pixel"),
            ((2, 3, 0, 7), (2, 0, 7), "no pixel"),
        ],
    )
    def test_wrong_shapes_are_named(self, shape, target_shape, message):
        with pytest.raises(ValueError, match=message):
            self.function()(
                torch.zeros(shape),
                torch.zeros(target_shape, dtype=torch.long),
                **getattr(self.loss, "keywords", {}),
                **self.tensors(torch.zeros(shape[:1] + shape[2:], dtype=torch.long), shape[1]),
            )

    def test_wrong_types_and_settings_are_named(self):
        logits, target = batch((6, 7))
        for wrong in (target.double(), target.bool()):
            with pytest.raises(TypeError, match="integer dtype was expected"):
                self.loss(logits, wrong)
        with pytest.raises(TypeError, match="floating dtype was expected"):
            self.loss(logits.long(), target)
        with pytest.raises(ValueError, match="'average', expected one of"):
            self.loss(logits, target, reduction="average")
