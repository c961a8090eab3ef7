"""Exact folding of a convolution and a resampling into one cheaper convolution.

A nearest-neighbour doubling repeats every pixel, so the nine taps of the 3x3 kernel that follows fall on only
four different values: their weights can be added first. The same holds, transposed, for a 3x3 convolution whose
outputs are averaged in blocks of 2x2. The 4x4 kernel is the sum of four copies of the 3x3 one, shifted by a pixel.
Same function up to rounding, 16 instead of 36 multiplications for each low-resolution pixel and channel pair.

A convolution after a pixel shuffle equals one at the resolution before it, from as many channels as there are there to
the factor squared times its own, and a shuffle of those. That multiplies by some zeros, but three colours alone fill a
fifth of a processor's vector, and the large maps are never made.
"""

from __future__ import annotations

import functools
from collections.abc import Callable

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor


def _spread(kernel: Float[Tensor, "O I 3 3"]) -> Float[Tensor, "O I 4 4"]:
    """Sum of the kernel shifted by (0, 0), (0, 1), (1, 0) and (1, 1): full convolution with a 2x2 box of ones."""
    rows = F.pad(kernel, (0, 0, 0, 1)) + F.pad(kernel, (0, 0, 1, 0))
    return F.pad(rows, (0, 1)) + F.pad(rows, (1, 0))


def fold_up(kernel: Float[Tensor, "O I 3 3"]) -> Float[Tensor, "I O 4 4"]:
    """Kernel of the transposed convolution (stride 2, padding 1) that equals nearest x2, then this convolution."""
    return _spread(kernel).flip(2, 3).transpose(0, 1)


def fold_down(kernel: Float[Tensor, "O I 3 3"]) -> Float[Tensor, "O I 4 4"]:
    """Kernel of the convolution (stride 2, padding 1) that equals this convolution, then 2x2 average pooling."""
    return _spread(kernel) / 4


@functools.cache
def fold_shuffled(factor: int) -> Callable[[Float[Tensor, "O I K K"]], Tensor]:
    """What turns the kernel of a convolution after a pixel shuffle by `factor` into that of the one before it.

    Kernels are odd and keep the size; the new one is (factor^2 O, factor^2 I, k, k), k the least odd side to hold it.
    """

    def fold(kernel: Float[Tensor, "O I K K"]) -> Tensor:
        side = kernel.shape[2]
        reach = side // 2
        cells = -(-reach // factor)
        whole = (2 * cells + 1) * factor
        copies = []
        for down in range(factor):
            for right in range(factor):
                top, left = (cells * factor + offset - reach for offset in (down, right))
                copies.append(F.pad(kernel, (left, whole - side - left, top, whole - side - top)))
        # PyTorch's shuffle has the place in a block as the faster part of a channel's number.
        return F.pixel_unshuffle(torch.stack(copies, 1).flatten(0, 1), factor)

    return fold


def upsample_nearest(x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B C 2*H 2*W"]:
    """Every pixel four times."""
    return F.interpolate(x, scale_factor=2, mode="nearest")
