"""How far pictures are from what they should be to a network's eye, at their own resolution: square by square.

Networks see pictures of a few hundred pixels. A photo is not reduced to that, which would hide what an enlargement gets
wrong, but cut into squares, and the distances of those are averaged.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float, Float64, UInt8
from torch import Tensor

from ganvas.data.cache import hash_file
from ganvas.data.sampler import to_float
from ganvas.errors import UserError
from ganvas.losses.perceptual import CONVOLUTIONS, VGG, Layer
from ganvas.metrics.diversity import perceptual_distance
from ganvas.metrics.networks import FeatureNetwork
from ganvas.metrics.networks._base import repeatable
from ganvas.metrics.translation import feature_distance

SIDE = 224
"""Pixels: the side of the squares that VGG sees, which it was trained on."""
AT_ONCE = 4
"""Squares that pass through a network together."""


def squares(picture: UInt8[Tensor, "H W C"], side: int) -> UInt8[Tensor, "N s s C"]:
    """The squares of a picture: as many as fit into its middle without overlap, at its own resolution.

    Args:
        picture: Any size.
        side: Of a square, pixels; of a picture with a shorter side it is that.
    """
    height, width, channels = picture.shape
    side = min(side, height, width)
    rows, columns = height // side, width // side
    top, left = (height - rows * side) // 2, (width - columns * side) // 2
    middle = picture[top : top + rows * side, left : left + columns * side]
    cut = middle.reshape(rows, side, columns, side, channels).transpose(1, 2)
    return cut.reshape(-1, side, side, channels)


def vgg_distance(vgg: VGG, output: Float[Tensor, "B C H W"], truth: Float[Tensor, "B C H W"]) -> Float64[Tensor, " B"]:
    """Zhang et al. 2018 (arXiv 1801.03924), eq. 1 with all weights 1, of the last activation before each pooling.

    For VGG16 this is LPIPS before it is tuned to people's answers. 0 for equal pictures, at most 10.

    Args:
        vgg: The network.
        output: In [-1, 1], 16 pixels or more.
        truth: What each should be.

    Raises:
        UserError: The two are not of the same shape.
    """
    return perceptual_distance(_stages(vgg, output), _stages(vgg, truth))


@dataclass(frozen=True)
class Distance:
    """A distance between pictures.

    Attributes:
        name: What the score is called.
        side: Of the squares that are compared, pixels.
        protocol: Network and estimator, JSON types.
        seen: What the network makes of squares.
        between: The distances of two such, picture by picture.
    """

    name: str
    side: int
    protocol: dict[str, Any]
    seen: Callable[[UInt8[Tensor, "B H W C"]], Any]
    between: Callable[[Any, Any], Float64[Tensor, " B"]]

    def __call__(self, truth: UInt8[Tensor, "H W C"], results: Sequence[UInt8[Tensor, "H W C"]]) -> list[float]:
        """Distances of pictures from what they all should be, each a mean over the picture's squares.

        Args:
            truth: What they should be, 16 pixels or more.
            results: The pictures, of the same size.
        """
        theirs, *ours = (squares(picture, self.side) for picture in (truth, *results))
        found: list[list[Tensor]] = [[] for _ in ours]
        for start in range(0, len(theirs), AT_ONCE):
            part = slice(start, start + AT_ONCE)
            seen = self.seen(theirs[part])
            for images, values in zip(ours, found, strict=True):
                values.append(self.between(self.seen(images[part]), seen).cpu())
        return [float(torch.cat(values).mean()) for values in found]


def of_features(network: FeatureNetwork) -> list[Distance]:
    """Distances by a feature network: of its features, and of its stages where it shows them."""
    told = {"features": network.protocol, "squares": _of_squares(network.size)}
    estimator = "1 - cosine of the features"
    found = [
        Distance(
            f"feature_distance_{network.name}",
            network.size,
            {"estimator": estimator, **told},
            lambda images: network.features(images).vectors,
            feature_distance,
        )
    ]
    if network.maps is not None:
        estimator = "Zhang et al. 2018, eq. 1, weights 1: unit-normalised stages, sum over them"
        name = f"perceptual_distance_{network.name}"
        told = {"estimator": estimator, **told}
        found.append(Distance(name, network.size, told, network.stages, perceptual_distance))
    return found


def of_vgg(weights: Path, device: torch.device) -> Distance:
    """`vgg16_distance` or `vgg19_distance`, see `vgg_distance`, by the one whose convolutions are in a file.

    Raises:
        UserError: It holds those of neither.
    """
    try:
        vgg = VGG.load("vgg16", weights)
    except UserError as error:
        try:
            vgg = VGG.load("vgg19", weights)
        except UserError:
            raise error from None
    vgg = vgg.to(device)
    layers = ", ".join(f"{i}.{j}" for i, j in _layers(vgg))
    estimator = f"Zhang et al. 2018, eq. 1, weights 1: unit-normalised activations of {layers}, sum over them"
    features = {"network": vgg.network, "weights": hash_file(weights), "dtype": "float32"}
    return Distance(
        f"{vgg.network}_distance",
        SIDE,
        {"estimator": estimator, "features": features, "squares": _of_squares(SIDE)},
        lambda images: _stages(vgg, to_float(images.to(device))),
        perceptual_distance,
    )


def _layers(vgg: VGG) -> list[Layer]:
    """The last convolution before each pooling."""
    return [*enumerate(CONVOLUTIONS[vgg.network], 1)]


def _stages(vgg: VGG, images: Float[Tensor, "B C H W"]) -> list[Tensor]:
    with torch.no_grad(), repeatable(vgg.mean.device):
        return vgg(images.float(), _layers(vgg))


def _of_squares(side: int) -> str:
    return f"mean over the squares of {side} pixels that fit into the middle of a picture, of a smaller one its side"
