"""Checkerboards: patterns of a period of few pixels, which upsampling with uneven overlap leaves (Odena et al. 2016).

Two scores of pictures alone. `phase_score` asks whether pixels in even and odd places (or of any period) differ on
average; `nyquist` whether the finest frequencies are stronger than their neighbours, which also sees patterns whose
sign changes from place to place. Real pictures have values of their own: compare with theirs.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float, Float64
from torch import Tensor

from ganvas.errors import UserError

STEP = 2 / 255
"""From one value of 8 bits to the next, in [-1, 1]."""
LEAST = 16
"""Pixels of a side, for frequencies near the finest to be apart from coarse ones."""
NEAR, FAR = 2, 3
"""Neighbours of a frequency: those so many places away. A Hann window leaves a pure frequency in the places before."""


def phase_score(images: Float[Tensor, "B C H W"], period: int) -> Float64[Tensor, " B"]:
    """Variance of the means over the period x period phases, as a share of the picture's own variance.

    Pixel (y, x) has phase (y mod period, x mod period). A pattern of that period and nothing else has 1, whatever its
    strength; pattern of variance a^2 on a picture of variance s^2 that is unrelated to it a^2 / (a^2 + s^2). Noise
    without any pattern has (period^2 - 1) / (H W - 1) on average, what is left of the differences of means by
    chance. A picture whose variance is that of rounding to 8 bits or less, 1/12 of a squared step, has 0.

    Args:
        images: Any values; variances are summed over channels. Rows and columns past a multiple of `period` do not
            count.
        period: In pixels, 2 or more: the stride of an upsampling layer, or the product of the last few.

    Raises:
        UserError: The period is below 2, or pictures are smaller than two periods.
    """
    height, width = images.shape[2:]
    if period < 2 or min(height, width) < 2 * period:
        raise UserError(f"a pattern of period {period} needs a period of 2 or more and pictures of twice that size")
    height, width = height - height % period, width - width % period
    pixels = images[..., :height, :width].double()
    parts = pixels.reshape(*pixels.shape[:2], height // period, period, width // period, period)
    phases = parts.mean((2, 4))  # (B, C, period, period)
    patterned = phases.var((2, 3), correction=0).sum(1)
    whole = pixels.var((2, 3), correction=0).sum(1)
    rounding = STEP**2 / 12
    return torch.where(whole > rounding, patterned / whole.clamp_min(rounding), 0.0)


@dataclass(frozen=True)
class Nyquist:
    """How far the finest frequencies stand out of their neighbours, decibels: 0 not at all, 10 by ten times the power.

    Attributes:
        horizontal: Columns of pixels that alternate.
        vertical: Rows that do.
        both: Fields of a chessboard.
    """

    horizontal: float
    vertical: float
    both: float


def nyquist(images: Float[Tensor, "B C H W"]) -> Nyquist:
    """Power at the Nyquist frequencies over the mean power at their neighbours, of all pictures together.

    10 log10((P + q) / (N + q)), where q is the power of noise of one 8-bit step, so that pictures without fine detail
    have 0. A chessboard of +-a on a constant picture has P = 4/9 H W a^2 and N = 0, the 4/9 being
    the window's. Noise has P = N on average.

    Args:
        images: In [-1, 1]. A last odd row or column does not count.

    Raises:
        UserError: Pictures are smaller than 16 pixels.
    """
    power = power_spectrum(images)
    height, width = power.shape
    offsets = torch.arange(-FAR, FAR + 1)
    away = torch.maximum(offsets[:, None].abs(), offsets.abs())
    found = []
    for y, x in ((0, width // 2), (height // 2, 0), (height // 2, width // 2)):
        around = power[(y + offsets) % height][:, (x + offsets) % width]
        neighbours = float(around[away >= NEAR].mean())
        found.append(10 * math.log10((float(power[y, x]) + STEP**2) / (neighbours + STEP**2)))
    return Nyquist(*found)


def power_spectrum(images: Float[Tensor, "B C H W"]) -> Float64[Tensor, "height width"]:
    """Mean power of each frequency, of pictures less their own mean, under a Hann window.

    The window keeps the edges of a picture, where it does not go on as it began, from spreading over all frequencies.
    Powers are so scaled that noise of variance s^2 has s^2 at every frequency.

    Args:
        images: One or more; powers are means over them and their channels.

    Returns:
        Even sides; the constant part is at [0, 0], the finest frequency in the middle.

    Raises:
        UserError: There is none, or pictures are smaller than 16 pixels.
    """
    height, width = (side - side % 2 for side in images.shape[2:])
    if not len(images) or min(height, width) < LEAST:
        raise UserError(f"a spectrum needs pictures of {LEAST} pixels or more")
    pixels = images[..., :height, :width].double()
    pixels = pixels - pixels.mean((2, 3), keepdim=True)
    across, down = (torch.hann_window(side, dtype=torch.float64, device=images.device) for side in (width, height))
    window = down[:, None] * across
    return (torch.fft.fft2(pixels * window).abs().square() / window.square().sum()).mean((0, 1)).cpu()
