"""Which number format to compute in; bfloat16 only where the processor has it."""

import contextlib
from collections.abc import Iterator
from typing import Any

import torch
from torch.overrides import TorchFunctionMode


@contextlib.contextmanager
def autocast(device: torch.device, *, training: bool, depthwise: bool = True) -> Iterator[None]:
    """Compute convolutions in bfloat16 where that is faster, else in float32.

    On processors, inference gains with AMX or AVX-512 BF16. In training, the backward pass of
    depthwise convolutions takes up to ten times as long in bfloat16: with AMX they stay in float32,
    which makes a step of EfficientNet-Lite0 1.8 times as fast as in bfloat16 throughout, and 1.1
    times as fast as in float32; without it all of such a network stays, since the mixture is slower
    (0.9 times; tests/benchmarks/precision.py). A network that has none gains in training as well.

    Args:
        device: that computes.
        training: whether gradients are computed.
        depthwise: whether the network has depthwise convolutions.
    """
    slow = training and depthwise
    if device.type == "cpu":
        amx = torch.cpu._is_amx_tile_supported()
        enabled = amx or (torch.cpu._is_avx512_bf16_supported() and not slow)
    else:
        enabled = device.type == "cuda" and torch.cuda.is_bf16_supported()
    mixed = enabled and slow and device.type == "cpu"
    kept = _Float32Depthwise() if mixed else contextlib.nullcontext()
    with torch.autocast(device.type, torch.bfloat16, enabled=enabled), kept:
        yield


class _Float32Depthwise(TorchFunctionMode):
    """Computes depthwise convolutions in float32, whatever network they are of."""

    def __torch_function__(
        self, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        if function is torch.conv2d and args[1].shape[1] == 1:  # one input channel for each output
            with torch.autocast(args[0].device.type, enabled=False):
                return function(args[0].float(), args[1].float(), *args[2:], **kwargs)
        return function(*args, **kwargs)


def default_device() -> torch.device:
    """Take the accelerator if there is one."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")
