"""Small versions of pictures and bicubic enlargements, as the literature of super-resolution makes them.

Both are what MATLAB's `imresize` gives, with which its test sets are made: Keys' cubic kernel with a = -1/2, spread
over the pixels of the smaller picture where it shrinks (antialiasing), and pictures continued symmetrically beyond
their borders. Unlike there nothing is rounded, which is left to `as_stored`.
"""

from __future__ import annotations

from typing import Literal

import torch
from jaxtyping import Float, Int64
from torch import Tensor
from torch.nn import functional as F

from ganvas.errors import UserError

REACH = 2
"""Pixels of the smaller of the two pictures that the kernel reaches to either side."""


def reduce(images: Float[Tensor, "B C H W"], scale: int) -> Float[Tensor, "B C h w"]:
    """The small versions of pictures.

    Args:
        images: Whose height and width `scale` divides.
        scale: By how much both shrink.

    Returns:
        Of the same range but for overshoots of the kernel.

    Raises:
        UserError: It does not divide them.
    """
    height, width = images.shape[2:]
    if height % scale or width % scale:
        raise UserError(
            f"pictures of {width}x{height} pixels have no small version at 1/{scale}: both must be multiples of {scale}"
        )
    return _interpolated(continued(images, REACH * scale), height // scale, width // scale, REACH)


def enlarge(
    images: Float[Tensor, "B C H W"], scale: int, method: Literal["bicubic", "nearest"] = "bicubic"
) -> Float[Tensor, "B C H2 W2"]:
    """Pictures `scale` times as high and wide, without a network.

    Args:
        images: Any size.
        scale: By how much both grow.
        method: `bicubic`, or each pixel as a square of itself.
    """
    if method == "nearest":
        return images.repeat_interleave(scale, 2).repeat_interleave(scale, 3)
    height, width = images.shape[2:]
    # One more than the kernel reaches: what is cut off has no part in what stays, even beside rounding.
    pad = REACH + 1
    return _interpolated(continued(images, pad), height * scale, width * scale, pad * scale)


def continued(images: Float[Tensor, "B C H W"], pad: int) -> Float[Tensor, "B C H2 W2"]:
    """Pictures continued by `pad` pixels on each side symmetrically: `c b a | a b c | c b a`, again and again."""
    down, across = (_symmetric(length, pad, images.device) for length in images.shape[2:])
    return images.index_select(2, down).index_select(3, across)


def as_stored(images: Float[Tensor, "B C H W"]) -> Float[Tensor, "B C H W"]:
    """Pictures in [-1, 1] as they are once they were stored with 8 bits: cut off at the ends and rounded."""
    return images.clamp(-1, 1).add(1).mul_(127.5).round_().div_(127.5).sub_(1)


def _interpolated(images: Tensor, height: int, width: int, cut: int) -> Tensor:
    """The library's antialiased bicubic, which has the same kernel, inside of a border of `cut` pixels."""
    found = F.interpolate(images, (height + 2 * cut, width + 2 * cut), mode="bicubic", antialias=True)
    return found[:, :, cut : cut + height, cut : cut + width]


def _symmetric(length: int, pad: int, device: torch.device) -> Int64[Tensor, " whole"]:
    place = torch.arange(-pad, length + pad, device=device).remainder(2 * length)
    return torch.minimum(place, 2 * length - 1 - place)
