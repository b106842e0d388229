"""A segmenter as ONNX: for programs that segment without Python or torch."""

from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from episodes.errors import ModelError
from episodes.io.write import atomic_write
from fewshot.models.coordinates import append_coordinates
from fewshot.models.heads.base import Support, head_name
from fewshot.models.network import FewShotNetwork


class Deployed(nn.Module):
    """Encoder and `score` of a head as one function of images and of a support's tensors."""

    def __init__(self, network: FewShotNetwork, names: tuple[str, ...]) -> None:
        super().__init__()
        self.encoder, self.head, self.names = network.encoder, network.head, names
        self.coordinates, self.calibration = network.settings.coordinates, network.calibration

    def forward(
        self, images: Float[Tensor, "query channel height width"], *support: Tensor
    ) -> Float[Tensor, "query label height width"]:
        """Give the probabilities of background and classes at image resolution."""
        features = append_coordinates(self.encoder(images), self.coordinates)
        condensed = Support(dict(zip(self.names, support, strict=True)))
        logits = self.calibration(self.head.logits(condensed, features[None])[0])
        full = functional.interpolate(
            logits, size=images.shape[-2:], mode="bilinear", align_corners=False
        )
        return full.softmax(dim=1)


def export_onnx(network: FewShotNetwork, support: Support, path: Path | str) -> Path:
    """Write one ONNX graph that segments images with any support set of as many classes.

    Inputs are `images` float32 [query 3 size size] in [0, 1], fitted into the support's square as
    `episodes.catalog.letterbox.Letterbox` does, and the tensors of a support under their own names
    (`fewshot.models.checkpoint.save_support` stores them); the output is `probabilities`
    [query label size size]. The number of images, and of prototypes, is free.

    Args:
        network: the model; every head that scores features.
        support: an example of what will be given.
        path: the file.

    Raises:
        ModelError: the packages are missing, or its head cannot be exported.
    """
    if network.head.not_exportable:
        raise ModelError(
            f"the head {head_name(network.settings.head)} cannot become an ONNX graph: "
            f"{network.head.not_exportable}; choose another head"
        )
    try:
        import onnx  # noqa: F401 - only to know that it is there
        import onnxscript  # noqa: F401 - torch's exporter needs both
    except ImportError as error:
        raise ModelError(
            f"ONNX needs {error.name}; pip install 'fewshot-segmentation[export]'"
        ) from error
    device, names = network.device, tuple(support.tensors)
    tensors = tuple(tensor.detach().cpu().clone() for tensor in support.tensors.values())
    module = Deployed(network, names).cpu().eval()
    size = support.size or network.settings.size
    dynamic = torch.export.Dim.DYNAMIC
    free = tuple({1: dynamic} if _counts_prototypes(name) else {} for name in names)
    try:
        program = torch.onnx.export(
            module,
            (torch.rand(2, 3, size, size), *tensors),
            dynamo=True,
            input_names=["images", *names],
            output_names=["probabilities"],
            dynamic_shapes=({0: dynamic}, free),
            verbose=False,
        )
    finally:
        network.to(device)
    if program is None:
        raise ModelError("torch's exporter gave no graph; try another version of torch")
    # Whoever has the graph can ask which model it is of, as of a support.
    program.model.metadata_props["fingerprint"] = network.fingerprint()
    with atomic_write(Path(path)) as partial:
        program.save(str(partial))
    return Path(path)


def _counts_prototypes(name: str) -> bool:
    """Whether a tensor's second axis is as long as there are local prototypes."""
    return name.startswith(("prototypes_", "valid_"))
