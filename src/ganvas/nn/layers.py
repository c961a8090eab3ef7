"""Convolution and linear layers with optional spectral norm, and convolutions that change the resolution by two."""

from __future__ import annotations

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from ganvas.nn.folding import fold_down, fold_shuffled, fold_up, upsample_nearest
from ganvas.nn.weights import SpectralNorm, effective_weight, is_reference

FEW = 4
"""Outputs of a convolution that fill so little of a processor's vector that folding a pixel shuffle into it pays."""


class Conv2d(nn.Conv2d):
    """Square convolution of stride 1 that keeps the size, with optional spectral norm (Miyato et al. 2018).

    Args:
        inputs: Channels in.
        outputs: Channels out.
        kernel: Odd side of the kernel, pixels.
        spectral: Divide the weight by its largest singular value.
        bias: Add a bias to every output channel.
    """

    def __init__(
        self, inputs: int, outputs: int, kernel: int = 3, *, spectral: bool = False, bias: bool = True
    ) -> None:
        super().__init__(inputs, outputs, kernel, padding=kernel // 2, bias=bias)
        self.norm = SpectralNorm(self.weight) if spectral else None

    def forward(self, x: Float[Tensor, "B I H W"]) -> Float[Tensor, "B O H W"]:
        """Convolve."""
        return F.conv2d(x, effective_weight(self, self.weight, self.norm), self.bias, padding=self.padding)

    def upsampled(self, x: Float[Tensor, "B I H W"]) -> Float[Tensor, "B O 2*H 2*W"]:
        """Nearest-neighbour doubling, then the convolution; folded into one operation where that is faster."""
        if self.kernel_size == (1, 1) and not is_reference():
            return upsample_nearest(self(x))  # the two commute: a quarter of the multiplications
        if is_reference() or not _worth_folding(self, x.shape[-2] * x.shape[-1]):
            return self(upsample_nearest(x))
        kernel = effective_weight(self, self.weight, self.norm, fold_up)
        return F.conv_transpose2d(x, kernel, self.bias, stride=2, padding=1)

    def downsampled(self, x: Float[Tensor, "B I H W"]) -> Float[Tensor, "B O H//2 W//2"]:
        """The convolution, then 2x2 average pooling; folded into one operation where that is faster."""
        if self.kernel_size == (1, 1) and not is_reference():
            return self(F.avg_pool2d(x, 2))
        if is_reference() or not _worth_folding(self, x.shape[-2] * x.shape[-1] // 4):
            return F.avg_pool2d(self(x), 2)
        kernel = effective_weight(self, self.weight, self.norm, fold_down)
        return F.conv2d(x, kernel, self.bias, stride=2, padding=1)

    def shuffled(self, x: Float[Tensor, "B R H W"], factor: int) -> Float[Tensor, "B O {factor}*H {factor}*W"]:
        """A pixel shuffle by `factor`, then the convolution; folded where it has few outputs."""
        if self.out_channels > FEW or is_reference():
            return self(F.pixel_shuffle(x, factor))
        kernel = effective_weight(self, self.weight, self.norm, fold_shuffled(factor))
        bias = None if self.bias is None else self.bias.repeat_interleave(factor**2)
        return F.pixel_shuffle(F.conv2d(x, kernel, bias, padding=kernel.shape[2] // 2), factor)


def _worth_folding(conv: Conv2d, pixels: int) -> bool:
    """Folding makes the kernel 16/9 as large and costs passes over it: not where the picture is smaller than that."""
    return conv.kernel_size == (3, 3) and pixels >= 64


class Linear(nn.Linear):
    """Linear layer with optional spectral norm (Miyato et al. 2018).

    Args:
        inputs: Features in.
        outputs: Features out.
        spectral: Divide the weight by its largest singular value.
        bias: Add a bias.
    """

    def __init__(self, inputs: int, outputs: int, *, spectral: bool = False, bias: bool = True) -> None:
        super().__init__(inputs, outputs, bias=bias)
        self.norm = SpectralNorm(self.weight) if spectral else None

    def forward(self, x: Float[Tensor, "... I"]) -> Float[Tensor, "... O"]:
        """Multiply and add."""
        return F.linear(x, effective_weight(self, self.weight, self.norm), self.bias)


class FromPixel(nn.ConvTranspose2d):
    """Transposed convolution of maps of one pixel to a square, as the product of matrices that it is.

    Several times faster on a CPU than the convolution, where there are many channels.

    Args:
        inputs: Channels in.
        outputs: Channels out.
        side: Of the square, pixels.
    """

    def __init__(self, inputs: int, outputs: int, side: int = 4) -> None:
        super().__init__(inputs, outputs, side)

    def forward(self, x: Float[Tensor, "B I 1 1"]) -> Float[Tensor, "B O H H"]:  # type: ignore[override]
        """The square."""
        if is_reference():
            return super().forward(x)
        side = self.kernel_size[0]
        weight = self.weight.permute(0, 2, 3, 1).flatten(1)  # of channels-last weights a view
        maps = F.linear(x.flatten(1), weight.t()).view(len(x), side, side, self.out_channels)
        return (maps if self.bias is None else maps + self.bias.to(maps.dtype)).permute(0, 3, 1, 2)


class ToPixel(nn.Conv2d):
    """Convolution of square maps with a kernel of their own size, as a product of matrices.

    Args:
        inputs: Channels in.
        outputs: Channels out.
        side: Of the maps, pixels.
        bias: Add a bias to every output channel.
    """

    def __init__(self, inputs: int, outputs: int, side: int = 4, *, bias: bool = True) -> None:
        super().__init__(inputs, outputs, side, bias=bias)

    def forward(self, x: Float[Tensor, "B I H H"]) -> Float[Tensor, "B O 1 1"]:
        """One pixel."""
        if is_reference():
            return super().forward(x)
        weight = self.weight.permute(0, 2, 3, 1).flatten(1)
        return F.linear(x.permute(0, 2, 3, 1).flatten(1), weight, self.bias)[:, :, None, None]
