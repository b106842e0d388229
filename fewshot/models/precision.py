"""Which number format to compute in; bfloat16 only where the processor has it."""

import contextlib
from collections.abc import Iterator

import torch


@contextlib.contextmanager
def autocast(device: torch.device, *, training: bool, depthwise: bool = True) -> Iterator[None]:
    """Compute convolutions in bfloat16 where that is faster, else in float32.

    On processors, inference gains with AVX-512 BF16 or AMX. Training gains only with AMX:
    without it the backward pass of depthwise convolutions is slower in bfloat16 than in float32.
    A network that has none of these gains in training as well (1.5 to 2 times, measured).
    """
    if device.type == "cpu":
        gains = not (training and depthwise)
        amx = torch.cpu._is_amx_tile_supported()
        enabled = amx or (gains and torch.cpu._is_avx512_bf16_supported())
    else:
        enabled = device.type == "cuda" and torch.cuda.is_bf16_supported()
    with torch.autocast(device.type, torch.bfloat16, enabled=enabled):
        yield


def default_device() -> torch.device:
    """Take the accelerator if there is one."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")
