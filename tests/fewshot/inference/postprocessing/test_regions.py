"""Common region and continuity: the random walker and the graph cut."""

import itertools
import sys

import numpy as np
import pytest
import torch

from episodes.errors import ModelError
from fewshot.inference.postprocessing.edge_weights import edge_weights
from fewshot.inference.postprocessing.graph_cut import cut_energy, graph_cut
from fewshot.inference.postprocessing.random_walker import random_walker
from fewshot.inference.postprocessing.thresholds import preserve_area


def picture(seed: int, rows: int = 5, columns: int = 6) -> np.ndarray:
    return np.random.default_rng(seed).random((1, rows, columns))


def stack(seed: int, labels: int, shape: tuple[int, int, int]) -> tuple[torch.Tensor, torch.Tensor]:
    """Images and probabilities of a stack."""
    generator = torch.Generator().manual_seed(seed)
    images = torch.rand(shape[0], 2, *shape[1:], generator=generator)
    logits = torch.randn(shape[0], labels, *shape[1:], generator=generator)
    return images, logits.softmax(dim=1)


def loop_laplacian(
    images: np.ndarray, length: float, across: float, contrast: float = 1.0
) -> np.ndarray:
    """The Laplacian of a stack [slice channel height width], link by link."""
    depth, _, rows, columns = images.shape
    found = np.zeros((depth * rows * columns,) * 2)
    places = list(itertools.product(range(depth), range(rows), range(columns)))
    number = {place: index for index, place in enumerate(places)}
    families: list[tuple[float, list[tuple]]] = [(across, [])]  # then one family a slice
    families += [(length, []) for _ in range(depth)]
    for z, r, c in places:
        for family, other in ((z + 1, (z, r + 1, c)), (z + 1, (z, r, c + 1)), (0, (z + 1, r, c))):
            if other in number:
                families[family][1].append(((z, r, c), other))
    for strength, pairs in families:
        value = {place: images[place[0], :, place[1], place[2]] for place in places}
        squares = [((value[a] - value[b]) ** 2).sum() for a, b in pairs]
        for (a, b), square in zip(pairs, squares, strict=True):
            even = np.mean(squares) == 0
            link = strength**2 * (1 if even else np.exp(-contrast * square / 2 / np.mean(squares)))
            i, j = number[a], number[b]
            found[[i, j], [j, i]] -= link
            found[[i, j], [i, j]] += link
    return found


@pytest.mark.parametrize("across", [0.0, 1.5])
@pytest.mark.parametrize("shape", [(3, 4, 3), (1, 5, 6), (2, 1, 4), (2, 4, 1), (3, 1, 1)])
def test_the_walker_solves_the_system_of_the_paper(shape, across):
    images, given = stack(0, 3, shape)
    system = loop_laplacian(images.double().numpy(), 2.5, across, 3.0)
    flat = given.movedim(1, -1).reshape(-1, 3).double().numpy()
    solved = np.linalg.solve(system + np.eye(len(system)), flat).reshape(*shape, 3)
    found = random_walker(given, images, 2.5, contrast=3.0, across=across)
    np.testing.assert_allclose(found.movedim(1, -1), solved, atol=2e-3)
    torch.testing.assert_close(found.sum(dim=1), torch.ones(shape))


def test_an_even_image_holds_nothing_up():
    given = stack(0, 2, (2, 3, 4))[1]
    system = loop_laplacian(np.zeros((2, 1, 3, 4)), 1.5, 0.5)
    flat = given.movedim(1, -1).reshape(-1, 2).double().numpy()
    solved = np.linalg.solve(system + np.eye(len(system)), flat).reshape(2, 3, 4, 2)
    found = random_walker(given, torch.zeros(2, 1, 3, 4), 1.5, across=0.5)
    np.testing.assert_allclose(found.movedim(1, -1), solved, atol=2e-3)


def noisy_square() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A square that the image shows clearly and the probabilities only on the whole."""
    generator = np.random.default_rng(0)
    truth = np.zeros((24, 24), bool)
    truth[6:18, 6:18] = True
    image = truth[None] + generator.normal(0, 0.05, (1, 24, 24))
    chance = np.clip(
        0.5 + 0.2 * (2 * truth - 1) + generator.normal(0, 0.25, truth.shape), 0.01, 0.99
    )
    return truth, image, chance


def test_the_walker_fills_a_region_up_to_its_edge():
    truth, image, chance = noisy_square()
    assert 0.6 < ((chance > 0.5) == truth).mean() < 0.9
    probabilities = torch.from_numpy(np.stack([1 - chance, chance]))[None]
    images = torch.from_numpy(image)[None]
    found = random_walker(probabilities, images, 4.0)[0, 1].numpy()
    assert ((found > 0.5) == truth).mean() > 0.99
    even = random_walker(probabilities, torch.zeros_like(images), 4.0)[0, 1].numpy()
    assert ((even > 0.5) == truth).mean() < ((found > 0.5) == truth).mean()


def test_the_walker_carries_evidence_across_slices():
    truth, image, chance = noisy_square()
    silent = np.full_like(chance, 0.5)
    one = torch.from_numpy(np.stack([np.stack([1 - p, p]) for p in (silent, chance, silent)]))
    images = torch.from_numpy(np.stack([image] * 3))
    alone = random_walker(one, images, 4.0)[0, 1].numpy()
    np.testing.assert_allclose(alone, 0.5, atol=1e-3)
    found = random_walker(one, images, 4.0, across=2.0)[0, 1].numpy()
    assert ((found > 0.5) == truth).mean() > 0.99


def test_the_walker_without_length_changes_nothing_and_refuses_nan():
    images, given = stack(0, 2, (2, 5, 6))
    assert random_walker(given, images, 0.0) is given
    with pytest.raises(ModelError, match="does not converge"):
        random_walker(torch.full_like(given, torch.nan), images, 2.0)


def test_the_walker_leaves_certain_background_alone():
    images = stack(0, 2, (2, 5, 6))[0]
    nothing = torch.stack([torch.ones(2, 5, 6), torch.zeros(2, 5, 6)], dim=1)
    torch.testing.assert_close(random_walker(nothing, images, 3.0, across=1.0), nothing)


def test_links_are_weaker_where_contrast_counts_more():
    images = stack(0, 2, (2, 5, 6))[0]
    for once, thrice in zip(edge_weights(images), edge_weights(images, 3.0), strict=True):
        torch.testing.assert_close(once**3, thrice)
    assert all((weights == 1).all() for weights in edge_weights(images, 0.0))


@pytest.mark.parametrize("seed", range(4))
def test_no_labelling_is_cheaper_than_the_cut(seed):
    pytest.importorskip("maxflow")
    image = picture(seed, 3, 4)
    chance = np.random.default_rng(seed + 9).random((3, 4))
    found = graph_cut(chance, image, 0.8)
    every = (
        np.array(bits, bool).reshape(3, 4) for bits in itertools.product((False, True), repeat=12)
    )
    best = min(cut_energy(labelling, chance, image, 0.8) for labelling in every)
    assert cut_energy(found, chance, image, 0.8) == pytest.approx(best)
    np.testing.assert_array_equal(graph_cut(chance, image, 0.0), chance > 0.5)


def test_the_cut_cleans_a_region():
    pytest.importorskip("maxflow")
    truth, image, chance = noisy_square()
    assert (graph_cut(chance, image, 2.0) == truth).mean() > 0.99


def test_without_the_library_the_cut_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "maxflow", None)
    with pytest.raises(ModelError, match=r"fewshot-segmentation\[cut\]"):
        graph_cut(np.full((2, 2), 0.5), np.zeros((1, 2, 2)), 1.0)


def test_a_class_keeps_its_area_and_takes_the_surest_pixels():
    before = torch.tensor([0.9, 0.8, 0.6, 0.1, 0.1, 0.1])[None, None, None]
    after = torch.tensor([0.3, 0.4, 0.25, 0.2, 0.1, 0.35])[None, None, None]
    kept = preserve_area(
        torch.cat([1 - after, after], dim=1), torch.cat([1 - before, before], dim=1)
    )
    assert (kept[0, 1] > 0.5).tolist() == [[True, True, False, False, False, True]]
    torch.testing.assert_close(kept.sum(dim=1), torch.ones(1, 1, 6))
    order = kept[0, 1, 0].argsort()
    assert order.tolist() == after[0, 0, 0].argsort().tolist()


def test_classes_without_any_pixel_stay_as_they_are():
    generator = torch.Generator().manual_seed(0)
    probabilities = torch.randn(2, 3, 4, 4, generator=generator).softmax(dim=1)
    nothing = torch.zeros_like(probabilities)
    nothing[:, 0] = 1
    torch.testing.assert_close(preserve_area(probabilities, nothing), probabilities)


def test_what_a_walk_takes_from_a_small_structure_comes_back():
    truth, _, _ = noisy_square()
    unsure = torch.from_numpy(np.stack([0.45 + 0.1 * ~truth, 0.55 - 0.1 * ~truth]))[None].float()
    images = torch.zeros(1, 1, *truth.shape)  # no edge holds it up
    walked = random_walker(unsure, images, 12.0)
    assert (walked[0, 1] > 0.5).sum() < 0.5 * truth.sum()
    kept = (preserve_area(walked, unsure)[0, 1] > 0.5).numpy()
    assert abs(kept.sum() - truth.sum()) <= 4
    assert (kept & truth).sum() > 0.9 * truth.sum()
