"""How alike the colours of two sets of pictures are: marginal histograms in CIE Lab (Isola et al. 2017)."""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Float, Float64, Int64
from torch import Tensor

from ganvas.errors import UserError

BIN = 2.0
"""Units of L, a and b in a bin: about the smallest difference of colour that people see, 2.3."""
REACH = 111
"""All of sRGB has a and b between -REACH and REACH; their bins lie around multiples of `BIN`, so that gray is within
one."""

TO_XYZ = ((0.4124, 0.3576, 0.1805), (0.2126, 0.7152, 0.0722), (0.0193, 0.1192, 0.9505))
"""From linear red, green and blue, IEC 61966-2-1; the sums of its rows are the white D65."""


class Histograms(NamedTuple):
    """Pixels in each bin.

    Attributes:
        l: L from 0 to 100.
        a: From green to red.
        b: From blue to yellow.
    """

    l: Int64[Tensor, " L"]  # noqa: E741  (the name it has)
    a: Int64[Tensor, " A"]
    b: Int64[Tensor, " A"]


def to_lab(images: Float[Tensor, "B 3 H W"]) -> Float64[Tensor, "B 3 H W"]:
    """sRGB in [-1, 1] to CIE L*a*b* of the white D65, 2 degrees: L from 0 to 100, a and b around 0.

    Args:
        images: Red, green, blue.
    """
    values = (images.double() + 1) / 2
    linear = torch.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)
    matrix = torch.tensor(TO_XYZ, dtype=torch.float64, device=images.device)
    matrix = matrix / matrix.sum(1, keepdim=True)  # over those of white
    xyz = torch.einsum("xc,bchw->bxhw", matrix, linear)
    edge = 6 / 29
    x, y, z = torch.where(xyz > edge**3, xyz.clamp_min(0) ** (1 / 3), xyz / (3 * edge**2) + 4 / 29).unbind(1)
    return torch.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], 1)


def lab_histograms(images: Float[Tensor, "B C H W"]) -> Histograms:
    """Histograms of L, a and b over all pixels of all pictures: 50 bins of L and 111 of a and b, 2 units each.

    Those of several sets of pictures may be added up.

    Args:
        images: In [-1, 1], RGB or gray.

    Raises:
        UserError: They have neither 1 nor 3 channels.
    """
    if images.shape[1] not in (1, 3):
        raise UserError(f"colours are those of gray or RGB pictures, and these have {images.shape[1]} channels")
    lab = to_lab(images.expand(-1, 3, -1, -1))
    counts = []
    for values, low, bins in zip(lab.unbind(1), (0.0, -REACH, -REACH), (round(100 / BIN), REACH, REACH), strict=True):
        places = ((values - low) / BIN).long().clamp(0, bins - 1)
        counts.append(torch.bincount(places.flatten(), minlength=bins))
    return Histograms(*counts)


def intersection(a: Int64[Tensor, " N"], b: Int64[Tensor, " N"]) -> float:
    """Sum over bins of the smaller share: 1 for equal histograms, 0 for those that have no bin in common.

    Args:
        a: Counts.
        b: Counts in the same bins, of however many pixels.

    Raises:
        UserError: One of the two is empty.
    """
    if not (int(a.sum()) and int(b.sum())):
        raise UserError("a histogram of no pixels cannot be compared")
    return float(torch.minimum(a.double() / a.sum(), b.double() / b.sum()).sum())
