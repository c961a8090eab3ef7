"""Scores of translated pictures beside what they should be, picture by picture, and finding each one's true partner.

Pictures are float (B, C, H, W) in [-1, 1]; everything is computed in float64. `ganvas.metrics.colour` compares colours.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import torch
from jaxtyping import Float, Float64, Int64
from torch import Tensor
from torch.nn import functional as F

from ganvas.errors import UserError
from ganvas.metrics.checks import check_comparable, check_features
from ganvas.metrics.neighbours import ROUNDING, squared_distances

WINDOW, SIGMA = 11, 1.5
"""Pixels: the side of the Gaussian window of SSIM and its standard deviation."""
K1, K2 = 0.01, 0.03
"""Of the pixel range: what keeps SSIM's quotients from zero over zero."""
MOST_PSNR = 100.0
"""Decibels of equal pictures, which have no PSNR, and of those that differ by less."""
LUMA = (65.481 / 255, 128.553 / 255, 24.966 / 255)
"""Weights of red, green and blue in the Y of ITU-R BT.601, from 16 to 235 of 255."""
BLOCK = 64
"""Places a side that SSIM is computed at together, which bounds memory; of 64, 128, 256 and 512 the fastest."""


def l1(output: Float[Tensor, "B C H W"], truth: Float[Tensor, "B C H W"]) -> Float64[Tensor, " B"]:
    """Mean absolute difference of pixels in units of their range: 1 from black to white.

    Args:
        output: In [-1, 1].
        truth: What each should be.

    Raises:
        UserError: The two are not of the same shape.
    """
    ours, theirs = _prepared(output, truth)
    return (ours - theirs).abs().mean((1, 2, 3))


def psnr(
    output: Float[Tensor, "B C H W"], truth: Float[Tensor, "B C H W"], *, luma: bool = False, border: int = 0
) -> Float64[Tensor, " B"]:
    """Peak signal-to-noise ratio, 10 log10(range^2 / mean squared difference), decibels; 100 at most.

    Args:
        output: In [-1, 1].
        truth: What each should be.
        luma: Compare Y of BT.601 alone, as super-resolution does (its range is 255, though Y spans 219); otherwise the
            mean squared difference is over all channels.
        border: Pixels that are cut off at each edge first.

    Raises:
        UserError: The shapes differ, nothing is left within the border, or Y is asked of other than RGB.
    """
    ours, theirs = _prepared(output, truth, luma, border)
    return -10 * (ours - theirs).square().mean((1, 2, 3)).clamp_min(10 ** (-MOST_PSNR / 10)).log10()


def ssim(
    output: Float[Tensor, "B C H W"], truth: Float[Tensor, "B C H W"], *, luma: bool = False, border: int = 0
) -> Float64[Tensor, " B"]:
    """Structural similarity (Wang et al. 2004, eq. 13): Gaussian window of 11x11 pixels, sigma 1.5, K1 0.01, K2 0.03.

    Means over the places where the whole window lies in the picture, then over channels; 1 for equal pictures.
    Variances are those of the window's weights, not the unbiased ones.

    Args:
        output: In [-1, 1].
        truth: What each should be.
        luma: As in `psnr`.
        border: As in `psnr`.

    Raises:
        UserError: As in `psnr`, or less than 11 pixels are left.
    """
    ours, theirs = _prepared(output, truth, luma, border)
    if min(ours.shape[2:]) < WINDOW:
        raise UserError(f"SSIM needs pictures of {WINDOW} pixels or more, not {ours.shape[3]} x {ours.shape[2]}")
    places = [length - WINDOW + 1 for length in ours.shape[2:]]
    total = torch.zeros(len(ours), dtype=torch.float64, device=ours.device)
    for top, left in itertools.product(*(range(0, length, BLOCK) for length in places)):
        block = (..., slice(top, top + BLOCK + WINDOW - 1), slice(left, left + BLOCK + WINDOW - 1))
        total += _similarity(ours[block], theirs[block]).sum((1, 2, 3))
    return total / (ours.shape[1] * math.prod(places))


def feature_distance(output: Float[Tensor, "B D"], truth: Float[Tensor, "M E"]) -> Float64[Tensor, " B"]:
    """1 - cosine of the angle between the features of a picture and of what it should be: half their squared distance.

    Features are scaled to length 1. From 0 to 1 where they are not negative, else to 2.

    Args:
        output: One row a picture.
        truth: Of the same network, row by row: M = B, E = D.

    Raises:
        UserError: If features are not finite or the two are not of the same shape.
    """
    check_features(output, "features of the pictures", varied=False)
    check_features(truth, "features of the truth", varied=False)
    check_comparable(output, truth)
    if len(output) != len(truth):
        raise UserError(f"{len(output)} pictures cannot be compared with {len(truth)} one by one")
    return (unit_length(output) - unit_length(truth)).square().sum(1) / 2


def unit_length(features: Float[Tensor, "B D"]) -> Float64[Tensor, "B D"]:
    """Each row scaled to length 1; a row of zeros stays."""
    return F.normalize(features.double(), dim=1)


def sharpness(images: Float[Tensor, "B C H W"]) -> Float64[Tensor, " B"]:
    """Mean squared gradient, by differences to the next pixel, in squared units of the range a pixel.

    An edge that is blurred to a ramp of w pixels has 1 / w of it; half the contrast has a quarter; noise adds to it.
    Compare it with that of the truth: a ratio of 1 is as sharp.

    Args:
        images: In [-1, 1], of 2 pixels or more; the mean is over channels too.
    """
    pixels = images.double() / 2
    down = pixels[..., 1:, :-1] - pixels[..., :-1, :-1]
    across = pixels[..., :-1, 1:] - pixels[..., :-1, :-1]
    return (down.square() + across.square()).mean((1, 2, 3))


def laplacian_variance(images: Float[Tensor, "B C H W"]) -> Float64[Tensor, " B"]:
    """Variance of the Laplacian of Y, in gray levels (of 255) squared: sharpness without a truth to compare with.

    Four neighbours less four times the pixel, where all of them are there. Noise raises it as edges do.

    Args:
        images: In [-1, 1], of 3 pixels or more; of RGB pictures Y of BT.601, of gray ones the gray.
    """
    gray = 255 * _pixels(images, luma=images.shape[1] == 3)
    around = gray[..., :-2, 1:-1] + gray[..., 2:, 1:-1] + gray[..., 1:-1, :-2] + gray[..., 1:-1, 2:]
    return (around - 4 * gray[..., 1:-1, 1:-1]).flatten(1).var(1, correction=0)


@dataclass(frozen=True)
class Retrieval:
    """Where among all candidates each query's own partner stands.

    Attributes:
        nearer: (N,) candidates that are nearer than the partner.
        equal: (N,) other candidates that are as near.
    """

    nearer: Int64[Tensor, " N"]
    equal: Int64[Tensor, " N"]

    def within(self, k: int) -> Float64[Tensor, " N"]:
        """The chance that the partner is among the k nearest, where equals are put in order at random."""
        return ((k - self.nearer) / (1 + self.equal).double()).clamp(0, 1)

    @property
    def ranks(self) -> Float64[Tensor, " N"]:
        """The partner's place, 1 the nearest, in the middle of its equals; (N + 1) / 2 by chance."""
        return 1 + self.nearer + self.equal.double() / 2


def retrieval(queries: Float[Tensor, "N D"], candidates: Float[Tensor, "M E"], *, block: int = 512) -> Retrieval:
    """Looks for the true partner of each translated picture among the partners of all.

    By chance the nearest is the right one once in N. Distances are Euclidean, in float64; those that differ by
    rounding alone are equal.

    Args:
        queries: Features or pixels of translated pictures, one row each.
        candidates: Of the true partners, in the same order: M = N, E = D.
        block: Queries at a time; memory grows with it, the result does not change.

    Raises:
        UserError: If a number is not finite, or the two are not equally many of the same dimensions.
    """
    check_features(queries, "translated pictures", varied=False)
    check_features(candidates, "true partners", varied=False)
    check_comparable(queries, candidates)
    if len(queries) != len(candidates):
        raise UserError(f"{len(queries)} pictures cannot each have a partner among {len(candidates)}")
    centre = candidates.mean(0, dtype=torch.float64)  # products of numbers far from zero round more
    queries, candidates = queries - centre, candidates - centre
    lengths = candidates.square().sum(1)
    nearer, equal = [], []
    for rows, squared in squared_distances(queries, candidates, block):
        own = squared.diagonal(rows.start)[:, None]
        rounding = ROUNDING * (queries[rows].square().sum(1)[:, None] + lengths + lengths[rows, None])
        nearer.append((squared < own - rounding).sum(1))
        equal.append(((squared - own).abs() <= rounding).sum(1) - 1)
    return Retrieval(torch.cat(nearer), torch.cat(equal))


def _prepared(output: Tensor, truth: Tensor, luma: bool = False, border: int = 0) -> tuple[Tensor, Tensor]:
    """Both in [0, 1] and float64, without their borders."""
    if output.shape != truth.shape:
        raise UserError(f"pictures {tuple(output.shape)} cannot be compared with others {tuple(truth.shape)}")
    _, channels, height, width = output.shape
    if border < 0 or min(height, width) <= 2 * border:
        raise UserError(f"of pictures of {width} x {height} pixels a border of {border} cannot be cut off")
    if luma and channels != 3:
        raise UserError(f"Y is made of red, green and blue, and these pictures have {channels} channels")
    inside = (..., slice(border, height - border), slice(border, width - border))
    return _pixels(output[inside], luma), _pixels(truth[inside], luma)


def _pixels(images: Float[Tensor, "B C H W"], luma: bool) -> Float64[Tensor, "B D H W"]:
    """In [0, 1]; of RGB pictures Y alone, with `luma`."""
    pixels = (images.double() + 1) / 2
    if not luma:
        return pixels
    weights = torch.tensor(LUMA, dtype=torch.float64, device=pixels.device)
    return torch.einsum("bchw,c->bhw", pixels, weights)[:, None] + 16 / 255


def _similarity(
    ours: Float64[Tensor, "B C H W"], theirs: Float64[Tensor, "B C H W"]
) -> Float64[Tensor, "B C H-10 W-10"]:
    """SSIM at each place that the window fits in."""
    a, b, aa, bb, ab = _blurred(torch.stack([ours, theirs, ours.square(), theirs.square(), ours * theirs]))
    c1, c2 = K1**2, K2**2
    quotient = (2 * a * b + c1) * (2 * (ab - a * b) + c2)
    quotient /= (a.square() + b.square() + c1) * (aa - a.square() + bb - b.square() + c2)
    return quotient


def _blurred(maps: Float64[Tensor, "M B C H W"]) -> Float64[Tensor, "M B C H-10 W-10"]:
    """Means under the window of SSIM, at all places that it fits in."""
    down, across = (_window(length, maps.device) for length in maps.shape[3:])
    return down @ maps @ across.T


def _window(length: int, device: torch.device) -> Float64[Tensor, "places length"]:
    """The window at every place along one dimension, as a matrix: products are several times faster than the kernel."""
    offsets = torch.arange(length, device=device) - torch.arange(length - WINDOW + 1, device=device)[:, None]
    offsets = (offsets - WINDOW // 2).double()
    weights = (-offsets.square() / (2 * SIGMA**2)).exp() * (offsets.abs() <= WINDOW // 2)
    return weights / weights.sum(1, keepdim=True)
