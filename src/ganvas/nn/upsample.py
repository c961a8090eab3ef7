"""Raising the resolution with learnt weights, in the three ways that papers disagree about."""

from __future__ import annotations

from typing import Literal

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from ganvas.nn.init import icnr_
from ganvas.nn.layers import Conv2d

Upsampling = Literal["transposed", "resize", "subpixel"]


class ResizeConv(nn.Module):
    """Nearest-neighbour enlargement, then a 3x3 convolution (Odena et al. 2016), doubling in one where that is faster.

    Args:
        inputs: Channels in.
        outputs: Channels out.
        factor: By how much height and width grow.
        bias: Add a bias to every output channel.
    """

    def __init__(self, inputs: int, outputs: int, factor: int = 2, *, bias: bool = True) -> None:
        super().__init__()
        self.factor = factor
        self.convolution = Conv2d(inputs, outputs, bias=bias)

    def forward(self, x: Float[Tensor, "B I H W"]) -> Float[Tensor, "B O {self.factor}*H {self.factor}*W"]:
        """A higher resolution."""
        if self.factor == 2:
            return self.convolution.upsampled(x)
        return self.convolution(F.interpolate(x, scale_factor=self.factor))


def upsample(
    method: Upsampling, inputs: int, outputs: int, kernel: int = 0, *, factor: int = 2, bias: bool = False
) -> nn.Module:
    """A layer from (B, inputs, H, W) to (B, outputs, factor H, factor W).

    A kernel of `transposed` that the factor does not divide covers its outputs unevenly, a checkerboard (Odena et al.
    2016).

    Args:
        method: `transposed`: a transposed convolution with `kernel` and the factor as its stride. `resize`:
            nearest-neighbour enlargement and a 3x3 convolution. `subpixel`: a 3x3 convolution to the factor squared
            times the channels and a pixel shuffle (Shi et al. 2016, arXiv 1609.05158), whose weights start as those of
            `resize` (ICNR).
        inputs: Channels in.
        outputs: Channels out.
        kernel: Side of the transposed convolution's kernel, pixels, from the factor up; 0 is twice the factor.
        factor: By how much height and width grow, 2 or more.
        bias: Add a bias to every output channel.
    """
    if method == "transposed":
        kernel = kernel or 2 * factor
        padding = (kernel - factor + 1) // 2
        return nn.ConvTranspose2d(
            inputs, outputs, kernel, factor, padding, output_padding=2 * padding + factor - kernel, bias=bias
        )
    if method == "resize":
        return ResizeConv(inputs, outputs, factor, bias=bias)
    convolution = Conv2d(inputs, factor**2 * outputs, bias=bias)
    icnr_(convolution, factor)
    return nn.Sequential(convolution, nn.PixelShuffle(factor))
