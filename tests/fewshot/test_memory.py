"""Sizes that do not fit into memory are refused before the work; the estimate is measured."""

import numpy as np
import pytest
import torch

from episodes.errors import ModelError
from fewshot import Segmenter, memory
from fewshot.memory import bytes_per_pixel, check_memory, free_memory
from fewshot.models.encoder import Encoder, EncoderSettings

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def encoder():
    return Encoder(EncoderSettings(weights="none"))


def test_the_estimate_covers_what_is_kept_for_the_gradient(encoder):
    """Bytes that autograd holds, counted by its own hooks; what it frees again comes on top."""
    kept: dict[int, int] = {}

    def pack(tensor):
        kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    weights = {p.untyped_storage().data_ptr() for p in (*encoder.parameters(), *encoder.buffers())}
    encoder.train()
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        features = encoder(torch.rand(1, 3, 128, 128))
    held = sum(size for place, size in kept.items() if place not in weights) / 128**2
    del features
    estimate = bytes_per_pixel(encoder, CPU, training=True)
    assert held < estimate < 2.5 * held
    assert bytes_per_pixel(encoder, CPU, training=False) < estimate / 3
    assert encoder.training  # as it was


def test_a_size_that_does_not_fit_is_refused_with_the_one_that_does(encoder, monkeypatch):
    monkeypatch.setattr(memory, "free_memory", lambda device: 4e9)
    with pytest.raises(ModelError, match=r"size 100000 needs about .* TB .* 4 images at") as error:
        check_memory(encoder, 100_000, 4, CPU)
    fits = int(str(error.value).split("fits is ")[1])
    check_memory(encoder, fits, 4, CPU)
    with pytest.raises(ModelError, match=r"and 3\.6 GB are free"):
        check_memory(encoder, fits + 64, 4, CPU)
    with pytest.raises(ModelError, match="take a smaller batch"):
        check_memory(encoder, 1024, 64, CPU, training=True)
    monkeypatch.setattr(memory, "free_memory", lambda device: 0.0)
    with pytest.raises(ModelError, match="not even 32 pixels would fit"):
        check_memory(encoder, 1024, 1, CPU)
    check_memory(encoder, 512, 8, CPU)  # never asked


def test_free_memory_is_the_least_that_any_limit_leaves(monkeypatch):
    assert 0 < free_memory(CPU) < 1e14
    files = {
        "/proc/meminfo": "MemTotal: 99 kB\nMemAvailable:    8000000 kB\n",
        "/sys/fs/cgroup/memory.max": "2000000000\n",
        "/sys/fs/cgroup/memory.current": "1500000000\n",
        "/sys/fs/cgroup/memory.stat": "anon 3\ninactive_file 100000000\n",
    }
    monkeypatch.setattr(memory, "_read", lambda path: files.get(path, ""))
    monkeypatch.setattr(memory, "_address_space", lambda: float("inf"))
    assert free_memory(CPU) == 600_000_000
    files["/sys/fs/cgroup/memory.max"] = "max\n"
    assert free_memory(CPU) == 8_192_000_000
    files.clear()
    assert free_memory(CPU) == float("inf")


def test_the_segmenter_asks_before_it_works(monkeypatch):
    image = np.random.default_rng(0).integers(0, 255, (64, 64), np.uint8)
    segmenter = Segmenter()
    with pytest.raises(ModelError, match="size 99968 needs about"):
        segmenter.learn(image, image > 128, size=99_968)
    support = segmenter.learn(image, image > 128, size=544)
    monkeypatch.setattr(memory, "free_memory", lambda device: 1e6)
    with pytest.raises(ModelError, match="size 544 needs about"):
        segmenter.segment(image, support)
