"""Doubling the resolution with learnt weights, in the three ways that papers disagree about."""

from __future__ import annotations

from typing import Literal

from jaxtyping import Float
from torch import Tensor, nn

from ganvas.nn.init import icnr_
from ganvas.nn.layers import Conv2d

Upsampling = Literal["transposed", "resize", "subpixel"]


class ResizeConv(nn.Module):
    """Nearest-neighbour doubling, then a 3x3 convolution (Odena et al. 2016), in one operation where that is faster.

    Args:
        inputs: Channels in.
        outputs: Channels out.
        bias: Add a bias to every output channel.
    """

    def __init__(self, inputs: int, outputs: int, *, bias: bool = True) -> None:
        super().__init__()
        self.convolution = Conv2d(inputs, outputs, bias=bias)

    def forward(self, x: Float[Tensor, "B I H W"]) -> Float[Tensor, "B O 2*H 2*W"]:
        """Twice the resolution."""
        return self.convolution.upsampled(x)


def upsample(method: Upsampling, inputs: int, outputs: int, kernel: int = 4, *, bias: bool = False) -> nn.Module:
    """A layer from (B, inputs, H, W) to (B, outputs, 2 H, 2 W).

    A kernel of `transposed` that two does not divide covers its outputs unevenly, a checkerboard (Odena et al. 2016).

    Args:
        method: `transposed`: a transposed convolution of stride 2 with `kernel`. `resize`: nearest-neighbour
            doubling and a 3x3 convolution. `subpixel`: a 3x3 convolution to four times the channels and a pixel
            shuffle (Shi et al. 2016, arXiv 1609.05158), whose weights start as those of `resize` (ICNR).
        inputs: Channels in.
        outputs: Channels out.
        kernel: Side of the transposed convolution's kernel, pixels, from 2.
        bias: Add a bias to every output channel.
    """
    if method == "transposed":
        padding = (kernel - 1) // 2
        return nn.ConvTranspose2d(
            inputs, outputs, kernel, 2, padding, output_padding=2 * padding + 2 - kernel, bias=bias
        )
    if method == "resize":
        return ResizeConv(inputs, outputs, bias=bias)
    convolution = Conv2d(inputs, 4 * outputs, bias=bias)
    icnr_(convolution)
    return nn.Sequential(convolution, nn.PixelShuffle(2))
