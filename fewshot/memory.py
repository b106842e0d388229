"""Checks that an image size fits into memory, before the work."""

import resource
from pathlib import Path

import torch
from torch import Tensor, nn

from episodes.errors import ModelError

_SURE = 512  # pixels; a few images of this side fit on any machine, so nothing is checked
_PEAK = 1.5  # over the input and output of the widest layer: padding makes one more copy
_REST = 160  # bytes a pixel of images, masks, scores and label maps beside the encoder
_SHARE = 0.9  # of what is free


def check_memory(
    encoder: nn.Module, size: int, images: int, device: torch.device, *, training: bool = False
) -> None:
    """Refuse a size whose features would not fit into memory.

    Args:
        encoder: the network; the sizes of its layers are measured with one small image.
        size: side of the square in which images are compared, in pixels.
        images: that pass through it at once.
        device: on which.
        training: whether every layer's output is kept for the gradient.

    Raises:
        ModelError: more would be needed than there is; it names the largest size that fits.
    """
    if size <= _SURE and images <= 8:
        return
    each = bytes_per_pixel(encoder, device, training=training) + _REST
    needed, free = each * images * size**2, free_memory(device) * _SHARE
    if needed <= free:
        return
    fits = int((free / (each * images)) ** 0.5) // 32 * 32
    way_out = (
        f"the largest size that fits is {fits}" if fits >= 32 else "not even 32 pixels would fit"
    )
    raise ModelError(
        f"size {size} needs about {_gigabytes(needed)} of memory for {images} image"
        f"{'s' * (images > 1)} at once, and {_gigabytes(free)} are free; {way_out}"
        + ("; or take a smaller batch, or fewer shots" if training else "")
    )


@torch.no_grad()
def bytes_per_pixel(encoder: nn.Module, device: torch.device, *, training: bool) -> float:
    """Estimate the encoder's memory for a pixel of its input, in bytes, in float32.

    Measured for the default encoder: 260 to 320 in inference, 1,500 to 1,700 in training.
    """
    side = 64
    kept: list[int] = []
    widest: list[int] = []

    def seen(_: nn.Module, given: tuple[object, ...], out: object) -> None:
        parts = [item.numel() for item in (*given, out) if isinstance(item, Tensor)]
        widest.append(sum(parts))
        kept.append(out.numel() if isinstance(out, Tensor) else 0)

    leaves = [module for module in encoder.modules() if not any(True for _ in module.children())]
    hooks = [leaf.register_forward_hook(seen) for leaf in leaves]
    was = encoder.training
    try:
        encoder.eval()(torch.zeros(1, 3, side, side, device=device))
    finally:
        encoder.train(was)
        for hook in hooks:
            hook.remove()
    values = _PEAK * max(widest, default=0) if not training else 1.5 * sum(kept)
    return 4 * values / side**2


def free_memory(device: torch.device) -> float:
    """Bytes that this process may still take on a device; inf where that is not known."""
    if device.type == "cuda":
        reserved = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return torch.cuda.mem_get_info(device)[0] + reserved
    return min(_available(), _group_limit(), _address_space())


def _available() -> float:
    text = _read("/proc/meminfo")
    for line in text.splitlines():
        if line.startswith("MemAvailable:"):
            return 1024.0 * int(line.split()[1])
    return float("inf")


def _group_limit() -> float:
    """What the control group (a container, a job of a cluster) leaves of its limit."""
    for limit, used in (
        ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current"),
        (
            "/sys/fs/cgroup/memory/memory.limit_in_bytes",
            "/sys/fs/cgroup/memory/memory.usage_in_bytes",
        ),
    ):
        most, now = _read(limit).strip(), _read(used).strip()
        if most.isdigit() and now.isdigit():
            return max(0.0, float(most) - float(now) + _reclaimable())
    return float("inf")


def _reclaimable() -> float:
    """Bytes of files in memory, which count as used but make room when they have to."""
    for line in _read("/sys/fs/cgroup/memory.stat").splitlines():
        if line.startswith("inactive_file "):
            return float(line.split()[1])
    return 0.0


def _address_space() -> float:
    """What `ulimit -v` leaves."""
    most, _ = resource.getrlimit(resource.RLIMIT_AS)
    if most == resource.RLIM_INFINITY:
        return float("inf")
    pages = _read("/proc/self/statm").split()
    return max(0.0, most - int(pages[0]) * resource.getpagesize()) if pages else float(most)


def _read(path: str) -> str:
    """Read a file of the kernel's; "" where there is none."""
    try:
        return Path(path).read_text(encoding="ascii")
    except OSError:
        return ""


def _gigabytes(count: float) -> str:
    return f"{count / 1e9:,.1f} GB" if count < 1e12 else f"{count / 1e12:,.1f} TB"
