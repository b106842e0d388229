# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Which is it, and are these two the same? One example has to do
#
# Siamese networks became known by two uses: naming a thing after one example of it, and telling
# whether two signatures, documents or faces are of one origin. Both work on any pictures. Here
# they are emoji, which come with the package in three designs: a snail of one design looks like
# that of another about as much as two signatures of one hand do.
#
# The design is read from the file name, and takes the part that a patient has in medical images.

# %%
import json
from episodes import Augment, Loader, PairSampler, PairSettings, bundled, compute_class_areas, read_catalog

folder = bundled.path("emoji")
catalog = compute_class_areas(read_catalog(folder, subject_pattern=r"(?:base|novel)_([a-z]+)_"))
split = json.loads((folder / "split.json").read_text())
base = catalog.showing(split["base"]).of_classes(split["base"])
novel = catalog.showing(split["novel"]).of_classes(split["novel"])
print(f"{len(base.classes)} classes to learn from, {len(novel.classes)} others to test on")

# %% [markdown]
# Every scene shows three emoji. Their regions are embedded: each region becomes one vector. The
# network starts from ImageNet; it is then trained on pairs of base classes whose two pictures have
# to be of two designs, for a few seconds.

# %%
from pathlib import Path
from tempfile import mkdtemp
from fewshot import EmbeddingNetwork, EmbeddingSettings, SupervisedContrastiveLoss
from fewshot import TrainSettings, embed_catalog, pair_task, train

settings = PairSettings(12, 2, regions=True, disjoint_subjects=True)
sampler = PairSampler(base, settings, loader=Loader(96), transform=Augment())
lister = PairSampler(novel, settings, loader=Loader(96))
network = EmbeddingNetwork(EmbeddingSettings(size=96))
before, names = embed_catalog(network, lister)

task = pair_task(network, sampler, SupervisedContrastiveLoss(0.1))
budget = TrainSettings(minutes=0, steps=30, batch=sampler.size, learning_rate=3e-4)
train(task, budget, Path(mkdtemp()), progress=False)
after, _ = embed_catalog(network, lister)

# %% [markdown]
# ## One-shot classification
#
# Ten novel classes, one example each, all of one design; the test pictures are of another design.
# Guessing is right in 10 % of cases.

# %%
import numpy as np
from fewshot import unit_rows

designs = np.array([novel.samples[place].subject for place, _ in lister.all_items()])
labels = np.array(names)


def accuracy(vectors, way=10, trials=300):
    generator, right = np.random.default_rng(0), []
    vectors = unit_rows(vectors)
    for _ in range(trials):
        shown, asked = generator.permutation(np.unique(designs))[:2]
        classes = generator.permutation(np.unique(labels))[:way]
        one = [generator.choice(np.flatnonzero((labels == c) & (designs == shown))) for c in classes]
        test = [generator.choice(np.flatnonzero((labels == c) & (designs == asked))) for c in classes]
        likest = (vectors[test] @ vectors[one].T).argmax(axis=1)
        right.append(np.mean(likest == np.arange(way)))
    return float(np.mean(right))


print(f"untrained {accuracy(before):.0%}, trained on other classes {accuracy(after):.0%}")

# %% [markdown]
# ## Verification: are these two the same?
#
# As a bank has to decide on a signature: the threshold is chosen on some classes, frozen, and then
# seen to work on others. FAR is the share of pairs of two things that are accepted, TAR that of
# pairs of one.

# %%
from fewshot import EmbeddingScores, audit_threshold, choose_threshold

half = np.isin(labels, np.unique(labels)[::2])
for kind, vectors in (("untrained", before), ("trained", after)):
    chosen = choose_threshold(EmbeddingScores(vectors[half], labels[half].tolist()).pairs, "eer")
    found = audit_threshold(chosen, EmbeddingScores(vectors[~half], labels[~half].tolist()).pairs)
    print(
        f"{kind}: cosine of at least {chosen.threshold:.2f} is the same; on other classes "
        f"FAR {found.far.value:.1%}, TAR {found.tar.value:.1%}, ROC-AUC {found.auc.value:.3f}"
    )

# %%
import matplotlib.pyplot as plt

pairs = EmbeddingScores(after[~half], labels[~half].tolist()).pairs
figure, axis = plt.subplots(figsize=(6, 3))
for kind, same in (("two things", False), ("one thing, any two pictures", True)):
    axis.hist(pairs.scores[pairs.genuine == same], bins=40, density=True, alpha=0.6, label=kind)
axis.axvline(chosen.threshold, color="black", linewidth=1)
axis.set_xlabel("cosine of two pictures")
axis.legend()
figure.tight_layout()

# %% [markdown]
# The same from the command line, for pictures that show one thing each, such as scanned signatures
# named `writer_number.png`:
#
# ```
# fewshot match train SIGNATURES --subject-pattern '^[^_]+' --out runs/signatures
# fewshot match threshold OTHERS --subject-pattern '^[^_]+' --model runs/signatures \
#     --rule far=0.01 --out decision.json
# fewshot match verify one.png other.png --model runs/signatures --threshold decision.json
# ```
