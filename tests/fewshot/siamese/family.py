"""What every loss on embeddings has to hold."""

import pytest
import torch

from fewshot.siamese.losses.base import PairLoss
from tests.fewshot.siamese.samples import BATCHES, batch


class LossFamily:
    """Inherit, give `make` and `reference`; the tests come with it."""

    one_class_teaches = False
    """Whether items of a single class have a loss."""

    def make(self) -> PairLoss:
        raise NotImplementedError

    def reference(self, loss, embeddings, labels) -> float:
        """Compute the loss by loops over the paper's equation."""
        raise NotImplementedError

    def value(self, embeddings, labels, loss=None):
        embeddings = embeddings.detach().clone().requires_grad_()
        found = (loss or self.make().double())(embeddings, labels)["loss"]
        found.backward()
        return found.detach(), embeddings.grad

    @pytest.mark.parametrize("name", list(BATCHES))
    @pytest.mark.parametrize("seed", [0, 1])
    def test_agrees_with_the_slow_reference(self, name, seed):
        embeddings, labels = batch(BATCHES[name], seed=seed)
        loss = self.make().double()
        found, _ = self.value(embeddings, labels, loss)
        assert found.item() == pytest.approx(self.reference(loss, embeddings, labels), abs=1e-9)
        assert found > 0

    def test_gradcheck(self):
        embeddings, labels = batch(BATCHES["balanced"], seed=3)
        loss = self.make().double()
        assert torch.autograd.gradcheck(
            lambda x: loss(x, labels)["loss"], embeddings.requires_grad_()
        )

    @pytest.mark.parametrize("labels", [[-1, -1, -1], [-1]])
    def test_nothing_known_costs_nothing(self, labels):
        found, slope = self.value(*batch(labels))
        assert found == 0
        assert (slope == 0).all()

    @pytest.mark.parametrize("labels", [[0, 1, 2], [1, 1, 1], [2]])
    def test_one_class_or_no_positives_are_finite(self, labels):
        found, slope = self.value(*batch(labels))
        assert found.isfinite()
        assert found >= 0
        assert slope.isfinite().all()

    @pytest.mark.parametrize("point", [0.5, 0.0])
    def test_identical_embeddings_are_finite(self, point):
        found, slope = self.value(torch.full((8, 4), point).double(), torch.arange(8) // 2)
        assert found.isfinite()
        assert found > 0
        assert slope.isfinite().all()

    def test_order_plays_no_part(self):
        embeddings, labels = batch(BATCHES["uneven"])
        order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(0))
        loss = self.make().double()
        one, slope = self.value(embeddings, labels, loss)
        other, moved = self.value(embeddings[order], labels[order], loss)
        torch.testing.assert_close(one, other)
        torch.testing.assert_close(slope[order], moved)

    def test_labels_above_two_to_the_24_stay_apart(self):
        if not self.make().takes_references:
            pytest.skip("labels number the classes from 0")
        embeddings, labels = batch(BATCHES["balanced"])
        one, _ = self.value(embeddings, labels)
        other, _ = self.value(embeddings, labels + 2**53)
        assert one == other

    def test_references_take_the_place_of_the_batch(self):
        loss = self.make().double()
        if not loss.takes_references:
            pytest.skip("takes none")
        embeddings, labels = batch(BATCHES["balanced"])
        others, other_labels = batch(BATCHES["balanced"], seed=5)
        found = loss(embeddings, labels, others, other_labels)["loss"]
        assert found.isfinite()
        assert found != self.value(embeddings, labels, loss)[0]
        unknown = loss(embeddings, labels, others, torch.full_like(labels, -1))["loss"]
        assert unknown == 0
