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
# # One annotated image in, masks out
#
# A microscope picture of cell nuclei comes with the package, cut into four tiles. We annotate
# **one** tile and let the segmenter do the others. No network is trained: the encoder has only
# ever seen photographs (ImageNet), and what a nucleus looks like is learned from the one mask.

# %%
from episodes import bundled, intensity_range, read_image, read_labels, read_planes
from fewshot import Segmenter, metrics, overlay, paste

nuclei = bundled.path("nuclei")
segmenter = Segmenter()
support = segmenter.learn(nuclei / "images/img2d_00.png", nuclei / "masks/img2d_00.png", "nucleus")
result = segmenter.segment(nuclei / "images/img2d_11.png", support)

# %% [markdown]
# `result.mask` has the size of the image; `result.overlay()` draws it. How sure the segmenter is
# of each pixel is in `result.confidence`.

# %%
import matplotlib.pyplot as plt

picture = read_image(nuclei / "images/img2d_00.png")
marked = read_labels(nuclei / "masks/img2d_00.png")[0] > 0
figure, axes = plt.subplots(1, 3, figsize=(10, 3.7))
axes[0].imshow(overlay(picture, marked, intensity_range(picture)))
axes[0].set_title("what we annotated")
axes[1].imshow(result.overlay())
axes[1].set_title("what it found in another tile")
axes[2].imshow(result.confidence, cmap="magma", vmin=0.5, vmax=1)
axes[2].set_title("confidence (dark: unsure)")
for axis in axes:
    axis.axis("off")
figure.tight_layout()

# %% [markdown]
# How good is it? The tile has a true mask, too. Dice is 1 for a perfect mask. Pasting the
# annotated mask on the new tile, *copy-mask*, is what a method must beat to have learnt anything.

# %%
import numpy as np

truth = (read_labels(nuclei / "masks/img2d_11.png")[0] > 0).astype(np.uint8)
copied = paste(marked.astype(np.uint8), truth.shape)
scores = {
    name: float(metrics.overlap.dice(metrics.overlap.confusion_matrix(mask, truth, 2))[1])
    for name, mask in {"segmenter": result.mask, "copy-mask": copied}.items()
}
scores

# %% [markdown]
# A volume works the same way: annotate one slice, get the stack. Here one slice of a brain
# (ICBM 2009) teaches grey and white matter, and every seventh of the others is segmented; the
# file's name in place of the array gives all of them.

# %%
brain = bundled.path("brain")
volume = read_planes(brain / "image_icbm.nii.gz")
tissue = read_labels(brain / "label_icbm.nii.gz")
middle = len(volume) // 2

names = {1: "grey matter", 2: "white matter"}
support = segmenter.learn(volume[middle], tissue[middle], names)
whole = segmenter.segment(volume[8:30:7], support, axes="ZYX")
whole.summary()["classes"]

# %%
figure, axes = plt.subplots(1, 4, figsize=(10, 3.3))
for number, (axis, plane) in enumerate(zip(axes, range(8, 30, 7), strict=True)):
    axis.imshow(whole.overlay(number))
    axis.set_title(f"slice {plane}")
    axis.axis("off")
figure.tight_layout()
