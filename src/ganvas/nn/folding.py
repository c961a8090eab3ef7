"""Exact folding of a 3x3 convolution and a resampling by two into one strided 4x4 convolution.

A nearest-neighbour doubling repeats every pixel, so the nine taps of the 3x3 kernel that follows fall on only
four different values: their weights can be added first. The same holds, transposed, for a 3x3 convolution whose
outputs are averaged in blocks of 2x2. The 4x4 kernel is the sum of four copies of the 3x3 one, shifted by a pixel.
Same function up to rounding, 16 instead of 36 multiplications for each low-resolution pixel and channel pair.
"""

from __future__ import annotations

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


def upsample_nearest(x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B C 2*H 2*W"]:
    """Every pixel four times."""
    return F.interpolate(x, scale_factor=2, mode="nearest")
