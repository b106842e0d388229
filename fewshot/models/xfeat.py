"""XFeat as far as its dense features go: a small backbone that was trained to match photographs.

It takes the mean of the colours, brings every image to mean 0 and variance 1, and has 64 features
at stride 8, made of its levels of strides 8, 16 and 32. Its keypoints and its matcher are left out.
The weights lie beside this file, with their notice and model card.

Reference: Potje, Cadar, Araujo, Martins and Nascimento, XFeat: Accelerated Features for Lightweight
Image Matching, CVPR 2024.
"""

from collections.abc import Iterator
from pathlib import Path

import torch
from jaxtyping import Float
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional

from episodes.errors import ModelError, cause

CHANNELS = {4: 24, 8: 64, 16: 64, 32: 64}
"""From the stride of a level to its channels; 8 is the fused map, the others are single blocks."""
INSTALLED = Path(__file__).parent / "weights" / "xfeat" / "xfeat.safetensors"
"""The weights that come with the package."""

_BLOCK_OF = {4: 2, 16: 4, 32: 5}  # the last block of a level; the fused map needs all of them
_EPSILON = 1e-5  # beside an image's variance: one of a single grey value has features as well
# Of the blocks: channels, kernel and stride of each layer.
_BLOCKS = (
    ((4, 3, 1), (8, 3, 2), (8, 3, 1), (24, 3, 2)),
    ((24, 3, 1), (24, 3, 1)),
    ((64, 3, 2), (64, 3, 1), (64, 1, 1)),
    ((64, 3, 2), (64, 3, 1), (64, 3, 1)),
    ((128, 3, 2), (128, 3, 1), (128, 3, 1), (64, 1, 1)),
)


class Layer(nn.Module):
    """A convolution without bias, normalised without learned scale or shift, and ReLU."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False)
        self.norm = nn.BatchNorm2d(outputs, affine=False)
        nn.init.kaiming_normal_(self.conv.weight, nonlinearity="relu")

    def forward(
        self, maps: Float[Tensor, "batch inputs height width"]
    ) -> Float[Tensor, "batch outputs rows columns"]:
        """Convolve; rows = height / stride, rounded up."""
        return functional.relu_(self.norm(self.conv(maps)))


class XFeat(nn.Module):
    """The levels of some strides, the finest first.

    Args:
        strides: some of `CHANNELS`; layers that none of them needs are left out.
        pretrained: whether to load the installed weights; else they are random.

    Raises:
        ModelError: the installed weights are missing or not those of this network.
    """

    def __init__(self, strides: tuple[int, ...], pretrained: bool) -> None:
        super().__init__()
        self.strides = tuple(sorted(strides))
        fused = 8 in strides
        depth = len(_BLOCKS) if fused else max(_BLOCK_OF[stride] for stride in strides)
        self.skip = nn.Conv2d(1, 24, 1)
        self.blocks = nn.ModuleList(list(_blocks())[:depth])
        self.fusion: nn.Module | None = None
        if fused:
            self.fusion = nn.Sequential(Layer(64, 64, 3), Layer(64, 64, 3), nn.Conv2d(64, 64, 1))
        if pretrained:
            load_installed(self)

    def forward(
        self, pixels: Float[Tensor, "batch channel height width"]
    ) -> list[Float[Tensor, "batch _ _ _"]]:
        """Embed; one map [batch features height/stride width/stride] a level.

        Args:
            pixels: in any unit, as every image is normalised by itself; sides are multiples of the
                coarsest requested stride, and of 4.
        """
        grey = standardize(pixels)
        maps = self.blocks[0](grey) + self.skip(functional.avg_pool2d(grey, 4))
        outputs = []
        for block in self.blocks[1:]:
            maps = block(maps)
            outputs.append(maps)
        levels = {4: outputs[0], **dict(zip((16, 32), outputs[2:], strict=False))}
        if self.fusion is not None:
            levels[8] = self.fusion(_sum(outputs[1:]))
        return [levels[stride] for stride in self.strides]


def standardize(
    pixels: Float[Tensor, "batch channel height width"],
) -> Float[Tensor, "batch 1 height width"]:
    """Bring the mean of each image's channels to mean 0 and variance 1."""
    grey = pixels.mean(dim=1, keepdim=True)
    variance, mean = torch.var_mean(grey, dim=(-2, -1), correction=0, keepdim=True)
    return (grey - mean) * torch.rsqrt(variance + _EPSILON)


def load_installed(model: XFeat, path: Path = INSTALLED) -> None:
    """Load the weights that come with the package; those of left out layers are passed over.

    Args:
        model: changed in place.
        path: safetensors, under the names of the whole network.

    Raises:
        ModelError: the file is missing or damaged, or holds another network.
    """
    try:
        theirs = load_file(path)
    except (OSError, SafetensorError) as error:
        raise ModelError(
            f"the weights {path} cannot be read: {cause(error)}; install the package again"
        ) from error
    for name, tensor in model.state_dict().items():
        shape = tuple(theirs[name].shape) if name in theirs else "not there"
        if shape != tuple(tensor.shape):
            raise ModelError(
                f"{path}: {name} is {shape}; expected {tuple(tensor.shape)}; install the package "
                "again"
            )
        tensor.copy_(theirs[name])


def _blocks() -> Iterator[nn.Sequential]:
    inputs = 1
    for layers in _BLOCKS:
        block = nn.Sequential()
        for outputs, kernel, stride in layers:
            block.append(Layer(inputs, outputs, kernel, stride))
            inputs = outputs
        yield block


def _sum(levels: list[Tensor]) -> Tensor:
    """Add levels on the grid of the first."""
    finest, *coarser = levels
    size = finest.shape[-2:]
    for level in coarser:
        finest = finest + functional.interpolate(
            level, size=size, mode="bilinear", align_corners=False
        )
    return finest
