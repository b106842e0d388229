"""Few-shot classification by prototypes: values by hand, turned classes, and training on emoji."""

import colorsys
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from episodes import (
    EpisodeSampler,
    EpisodeSettings,
    Loader,
    Plan,
    RotatedClasses,
    bundled,
    collate,
    read_catalog,
    with_image_classes,
)
from episodes.errors import DataError, EpisodeError
from fewshot import (
    ClassificationResult,
    ClassifiedQuery,
    EmbeddingNetwork,
    EmbeddingSettings,
    PrototypeClassifier,
    SmallSettings,
    TrainSettings,
    classification_task,
    embed_pixels,
    evaluate_classification,
    load_embedding,
    train,
)

SETTINGS = EpisodeSettings(way=3, shot=2, query=6, disjoint_subjects=False)


@pytest.fixture(scope="module")
def scenes():
    """Emoji by their design: three classes of whole images."""
    catalog = read_catalog(bundled.path("emoji"), subject_pattern=r"(?:base|novel)_([a-z]+)_")
    return with_image_classes(catalog, lambda sample: sample.subject)


def small_network(seed=0):
    small = SmallSettings(widths=(16, 16), blocks=(1,), colour=True)
    settings = EmbeddingSettings(small, "average", dim=0, normalise=False, size=32, seed=seed)
    return EmbeddingNetwork(settings)


def test_an_image_is_of_one_class_all_over(scenes):
    assert scenes.classes == ("fluent", "google", "twitter")
    assert all(list(s.areas) == [s.subject] and not s.masks for s in scenes.samples)
    episode = EpisodeSampler(scenes, SETTINGS, loader=Loader(32)).episode(3)
    by_key = {sample.key: sample.subject for sample in scenes.samples}
    asked = [episode.class_names[way] for way in episode.plan.query_ways]
    assert [by_key[key] for key in episode.plan.query] == asked
    assert (episode.query_labels == 255).all()


def test_images_of_several_classes_are_refused():
    with pytest.raises(DataError, match=r"expected one class an image\. Give class_of"):
        with_image_classes(read_catalog(bundled.path("emoji")))


def test_classes_are_turned_as_a_whole(scenes):
    source = EpisodeSampler(scenes, SETTINGS, loader=Loader(32))
    turned, plain = RotatedClasses(source, seed=1), source.episode(0)
    found = turned.episode(0)
    again = RotatedClasses(source, seed=1).episode(0)
    assert torch.equal(found.support_images, again.support_images)
    for way in range(3):
        asked = [n for n, other in enumerate(plain.plan.query_ways) if other == way]
        (turn,) = (
            turn
            for turn in range(4)
            if torch.equal(
                found.support_images[way], plain.support_images[way].rot90(turn, (-2, -1))
            )
        )
        assert torch.equal(
            found.query_images[asked], plain.query_images[asked].rot90(turn, (-2, -1))
        )
    shown = {tuple(turned.episode(n).support_images[0, 0, 0, :, 0].tolist()) for n in range(4)}
    assert len(shown) == 4


def test_only_square_images_are_turned(scenes):
    class Wide:
        def episode(self, index):
            plain = EpisodeSampler(scenes, SETTINGS, loader=Loader(32)).episode(index)
            names = ("support_images", "support_masks", "query_images", "query_labels")
            return replace(plain, **{name: getattr(plain, name)[..., :20, :] for name in names})

    with pytest.raises(EpisodeError, match="images are 20 x 32; only square ones"):
        RotatedClasses(Wide()).episode(0)


def test_logits_are_those_of_a_loop_over_queries_and_classes(scenes):
    source = EpisodeSampler(scenes, SETTINGS, loader=Loader(32))
    batch = collate([source.episode(n) for n in range(2)])
    network = small_network().eval()
    with torch.inference_mode():
        found = PrototypeClassifier(network)(batch.support_images, batch.query_images)
    for n in range(2):
        means = [network.embed(batch.support_images[n, way]).mean(dim=0) for way in range(3)]
        for query, vector in enumerate(network.embed(batch.query_images[n])):
            expected = torch.stack([-((vector - mean) ** 2).sum() for mean in means])
            torch.testing.assert_close(found[n, query], expected, rtol=1e-4, atol=1e-3)


def test_accuracy_is_averaged_over_episodes_classes_or_groups():
    plan = Plan(0, ("a/1", "b/1"), (("s",), ("t",)), ("q", "r"), ("x", "y"))
    cases = [(0, "a/1", "a/1"), (0, "b/1", "a/1"), (1, "a/2", "a/2"), (1, "a/1", "a/1")]
    result = ClassificationResult(
        tuple(ClassifiedQuery(n, f"q{i}", name, a) for i, (n, name, a) in enumerate(cases)), (plan,)
    )
    assert result.accuracy().mean == pytest.approx(0.75)  # 1/2 and 2/2
    assert result.accuracy("classes").mean == pytest.approx(2 / 3)  # a/1 1, b/1 0, a/2 1
    assert result.accuracy("classes", lambda name: name[0]).mean == pytest.approx(0.5)
    assert plan.query_ways == (0, 1)


def draw(folder, hues, each, generator):
    """Discs of one hue a class, anywhere on a noisy ground that is darker or brighter."""
    rows, columns = np.mgrid[:32, :32]
    for hue in hues:
        (folder / f"hue_{hue:03}").mkdir(parents=True)
        colour = np.array(colorsys.hsv_to_rgb(hue / 360, 0.6, 1.0))
        for copy in range(each):
            row, column = generator.uniform(6, 26, 2)
            inside = (rows - row) ** 2 + (columns - column) ** 2 < generator.uniform(4, 7) ** 2
            ground = generator.uniform(0.2, 0.8) + generator.normal(0, 0.15, (32, 32, 1))
            pixels = np.where(inside[..., None], colour * generator.uniform(0.6, 1.0), ground)
            picture = (255 * pixels.clip(0, 1)).astype(np.uint8)
            Image.fromarray(np.broadcast_to(picture, (32, 32, 3)).copy()).save(
                folder / f"hue_{hue:03}" / f"{copy}.png"
            )


def test_training_on_hues_helps_with_hues_never_seen(tmp_path):
    generator = np.random.default_rng(0)
    draw(tmp_path / "base", range(0, 360, 20), 8, generator)
    draw(tmp_path / "novel", range(10, 360, 20), 8, generator)
    base, novel = (
        with_image_classes(read_catalog(tmp_path / part), lambda sample: sample.subject)
        for part in ("base", "novel")
    )
    settings = EpisodeSettings(way=5, shot=1, query=10, disjoint_subjects=False)
    test = EpisodeSampler(novel, settings, loader=Loader(32), seed=1)
    network = small_network()
    before = evaluate_classification(network.embed, test, 30)
    source = RotatedClasses(EpisodeSampler(base, settings, loader=Loader(32)))
    budget = TrainSettings(steps=25, minutes=0, batch=4, learning_rate=1e-2)
    train(classification_task(network, source), budget, tmp_path / "run", progress=False)
    after = evaluate_classification(network.embed, test, 30)
    baseline = evaluate_classification(embed_pixels, test, 30)
    assert after.episode_hash == before.episode_hash
    assert after.accuracy().low > max(before.accuracy().high, baseline.accuracy().high)
    loaded = load_embedding(tmp_path / "run")
    assert evaluate_classification(loaded.embed, test, 30) == after


def test_no_episodes_are_refused(scenes):
    with pytest.raises(ValueError, match="episodes is 0; expected at least 1"):
        evaluate_classification(embed_pixels, EpisodeSampler(scenes, SETTINGS), 0)
