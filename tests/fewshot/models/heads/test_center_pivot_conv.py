import itertools

import pytest
import torch

from fewshot.models.heads.center_pivot_conv import CentrePivotBlock, centre_pivot


def full_kernel(query_kernel, support_kernel):
    """All size⁴ weights [out channel size size size size], zero where neither side is central."""
    size = query_kernel.shape[-1]
    centre = size // 2
    kernel = torch.zeros(*query_kernel.shape[:2], size, size, size, size)
    kernel[..., centre, centre] += query_kernel
    kernel[:, :, centre, centre] += support_kernel
    return kernel


def slow_convolution(volume, kernel, stride):
    """A convolution in four dimensions, one entry after another."""
    margin = kernel.shape[-1] // 2
    rows, columns, support_rows, support_columns = volume.shape[2:]
    padded = torch.nn.functional.pad(volume, [margin] * 8)
    places = itertools.product(
        range(rows),
        range(columns),
        range(0, support_rows, stride),
        range(0, support_columns, stride),
    )
    size = kernel.shape[-1]
    out = [
        torch.einsum(
            "ncijkl,ocijkl->no",
            padded[:, :, r : r + size, c : c + size, s : s + size, t : t + size],
            kernel,
        )
        for r, c, s, t in places
    ]
    less = [-(-side // stride) for side in (support_rows, support_columns)]
    return torch.stack(out, dim=2).unflatten(2, (rows, columns, *less))


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("size", [1, 3, 5])
def test_equals_the_full_kernel_with_zeros_off_the_pivots(stride, size):
    generator = torch.Generator().manual_seed(size)
    volume = torch.randn(2, 2, 4, 3, 5, 4, generator=generator)
    kernels = torch.randn(2, 3, 2, size, size, generator=generator)
    found = centre_pivot(volume, *kernels, stride)
    expected = slow_convolution(volume, full_kernel(*kernels), stride)
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)


def test_block_halves_the_support_and_keeps_the_query():
    torch.manual_seed(0)
    out = CentrePivotBlock(1, 8, stride=2)(torch.rand(2, 1, 6, 5, 7, 4))
    assert out.shape == (2, 8, 6, 5, 4, 2)
    assert (out >= 0).all()
