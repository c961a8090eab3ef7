"""The Parzen window estimate of the log-likelihood (Goodfellow et al. 2014, section 5; Breuleux et al. 2011).

A normal density of one standard deviation, sigma, stands on every sample; a point's likelihood is their mean there.
Pictures are points of H x W x C numbers in [0, 1]: sigma and the log-likelihood depend on that range. The estimate
is a poor one in so many dimensions (Theis et al. 2016, arXiv 1511.01844): it is here because the first papers
report it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from ganvas.errors import UserError
from ganvas.metrics.checks import check_features

CANDIDATES = tuple(10 ** (-1 + i / 9) for i in range(10))
"""Sigmas to choose from: ten from 0.1 to 1, evenly spaced in their logarithms, as in the published code."""


class Parzen(NamedTuple):
    """A log-likelihood; higher is better.

    Attributes:
        mean: Mean over the test points, in nats.
        error: Its standard error, their standard deviation over the root of their number.
        sigma: Standard deviation of the window.
    """

    mean: float
    error: float
    sigma: float


def log_likelihood(
    points: Float[Tensor, "N D"], samples: Float[Tensor, "M E"], sigma: float, *, block: int = 1024
) -> Float[Tensor, " N"]:
    """log(1/M sum_j N(x; s_j, sigma^2 I)) of each point x, by log-sum-exp in float64.

    Args:
        points: Where, one row each; pictures as numbers in [0, 1].
        samples: On which the windows stand, in the same dimensions, so E = D.
        sigma: Standard deviation of a window.
        block: Points and samples at a time; memory grows with it, the result does not change but for rounding.

    Returns:
        float64, in nats.

    Raises:
        UserError: If there are none of either, they are not finite or of different dimensions, or sigma is not above 0.
    """
    return _log_likelihoods(points, samples, (sigma,), block)[:, 0]


def choose_sigma(
    validation: Float[Tensor, "N D"],
    samples: Float[Tensor, "M E"],
    candidates: Sequence[float] = CANDIDATES,
    *,
    block: int = 1024,
) -> float:
    """The candidate under which the mean log-likelihood of held-out points is highest; of equals the first.

    Args:
        validation: Points that are neither scored nor sampled.
        samples: As in `log_likelihood`.
        candidates: Sigmas to choose from.
        block: As in `log_likelihood`.

    Raises:
        UserError: As `log_likelihood`, or if there is no candidate.
    """
    if not candidates:
        raise UserError("no sigma is given to choose from")
    return candidates[int(_log_likelihoods(validation, samples, candidates, block).mean(0).argmax())]


def parzen(
    samples: Float[Tensor, "M D"],
    validation: Float[Tensor, "V D"],
    test: Float[Tensor, "N D"],
    candidates: Sequence[float] = CANDIDATES,
    *,
    block: int = 1024,
) -> Parzen:
    """Chooses sigma by `validation`, then scores `test`, as in the published code.

    Args:
        samples: Of the model; 10,000 in the paper.
        validation: Held-out points to choose sigma by; the first 1,000 in the paper.
        test: Other held-out points.
        candidates: As in `choose_sigma`.
        block: As in `log_likelihood`.

    Raises:
        UserError: As `choose_sigma`.
    """
    sigma = choose_sigma(validation, samples, candidates, block=block)
    found = log_likelihood(test, samples, sigma, block=block)
    return Parzen(found.mean().item(), found.std(correction=0).item() / math.sqrt(len(found)), sigma)


def _log_likelihoods(points: Tensor, samples: Tensor, sigmas: Sequence[float], block: int) -> Float[Tensor, "N S"]:
    """Under each sigma; the distances, which cost most, are the same for all."""
    check_features(points, "points", varied=False)
    check_features(samples, "samples", varied=False)
    if points.shape[1] != samples.shape[1]:
        raise UserError(f"points of {points.shape[1]} numbers cannot be compared with samples of {samples.shape[1]}")
    for sigma in sigmas:
        if not 0 < sigma < math.inf:
            raise UserError(f"sigma is a number above 0, not {sigma}")
    centre = samples.mean(0, dtype=torch.float64)  # products of numbers far from zero round more
    parts = []
    for row in range(0, len(points), block):
        x = points[row : row + block] - centre
        sums = x.new_full((len(x), len(sigmas)), -math.inf)
        for column in range(0, len(samples), block):
            s = samples[column : column + block] - centre
            squared = torch.addmm(s.square().sum(1), x, s.T, alpha=-2).add_(x.square().sum(1)[:, None]).clamp_min_(0)
            inside = [torch.logsumexp(squared / (-2 * sigma**2), 1) for sigma in sigmas]
            sums = torch.logaddexp(sums, torch.stack(inside, 1))
        parts.append(sums)
    peak = [points.shape[1] * math.log(sigma * math.sqrt(2 * math.pi)) + math.log(len(samples)) for sigma in sigmas]
    return torch.cat(parts) - torch.tensor(peak, dtype=torch.float64, device=points.device)
