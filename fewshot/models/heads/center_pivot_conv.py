"""Convolution over pairs of positions: one in the query, one in the support."""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional


def centre_pivot(
    volume: Float[Tensor, "item channel rows columns support_rows support_columns"],
    query_kernel: Float[Tensor, "out channel size size"],
    support_kernel: Float[Tensor, "out channel size size"],
    stride: int = 1,
) -> Float[Tensor, "item out rows columns less_rows less_columns"]:
    """Convolve in four dimensions with a kernel that is zero but for two planes.

    Of the size⁴ neighbours of a pair of positions only those count that share its query position
    or its support position: out(q, s) = sum_d query_kernel[d] · in(q + d, s)
    + sum_d support_kernel[d] · in(q, s + d). That is two convolutions in two dimensions instead
    of one in four.

    Args:
        volume: a value for every pair of a query and a support position.
        query_kernel, support_kernel: the two planes, of odd size; the centre belongs to both.
        stride: of the support axes, which become that much shorter, rounded up.

    Paper: Min et al., Hypercorrelation squeeze for few-shot segmentation, ICCV 2021, section 4.2.
    """
    margin = query_kernel.shape[-1] // 2
    # A kernel of one entry along the flattened axes leaves them alone, and nothing is copied.
    along_support = functional.conv3d(
        volume.flatten(2, 3),
        support_kernel[:, :, None],
        stride=(1, stride, stride),
        padding=(0, margin, margin),
    )
    thinned = volume[..., ::stride, ::stride]
    along_query = functional.conv3d(
        thinned.flatten(4), query_kernel[..., None], padding=(margin, margin, 0)
    )
    return along_support.unflatten(2, volume.shape[2:4]) + along_query.unflatten(
        4, thinned.shape[4:]
    )


class CentrePivotBlock(nn.Module):
    """A centre-pivot convolution, group normalisation and ReLU.

    Args:
        inputs, outputs: channels; outputs are a multiple of four, the number of groups.
        stride: of the support axes.
    """

    def __init__(self, inputs: int, outputs: int, stride: int = 1) -> None:
        super().__init__()
        self.query_kernel = nn.Parameter(torch.empty(outputs, inputs, 3, 3))
        self.support_kernel = nn.Parameter(torch.empty(outputs, inputs, 3, 3))
        for kernel in (self.query_kernel, self.support_kernel):
            nn.init.kaiming_normal_(kernel, nonlinearity="relu")
        self.normalise = nn.GroupNorm(4, outputs)
        self.stride = stride

    def forward(
        self, volume: Float[Tensor, "item channel rows columns support_rows support_columns"]
    ) -> Float[Tensor, "item out rows columns less_rows less_columns"]:
        """Convolve; the support axes shrink by the stride."""
        mixed = centre_pivot(volume, self.query_kernel, self.support_kernel, self.stride)
        return functional.relu(self.normalise(mixed))
