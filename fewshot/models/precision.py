"""Which number format to compute in; bfloat16 only where the processor has it."""

import contextlib
from collections.abc import Iterator
from typing import Any

import torch
from torch.overrides import TorchFunctionMode


@contextlib.contextmanager
def autocast(device: torch.device, *, training: bool) -> Iterator[None]:
    """Compute convolutions in bfloat16 where that is faster, else in float32.

    On processors it is faster with AMX or AVX-512 BF16, but for the backward pass of depthwise
    convolutions, which takes up to ten times as long as in float32: in training those stay in
    float32, which makes a step of EfficientNet-Lite0 1.8 times as fast (AMX, one thread;
    tests/benchmarks/precision.py).
    """
    if device.type == "cpu":
        enabled = torch.cpu._is_amx_tile_supported() or torch.cpu._is_avx512_bf16_supported()
        depthwise = enabled and training
    else:
        enabled = device.type == "cuda" and torch.cuda.is_bf16_supported()
        depthwise = False
    with contextlib.ExitStack() as stack:
        stack.enter_context(torch.autocast(device.type, torch.bfloat16, enabled=enabled))
        if depthwise:
            stack.enter_context(_Float32Depthwise())
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
