"""The kernel distance: squared maximum mean discrepancy under the cubic kernel (Binkowski et al. 2018, section 4)."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from ganvas.errors import UserError
from ganvas.metrics.checks import check_comparable, check_features
from ganvas.metrics.interval import Estimate

FEWEST = 4
"""Samples a side: the fewest from which the variance can be estimated without bias."""


def kernel_distance(a: Float[Tensor, "M D"], b: Float[Tensor, "N E"], *, block: int = 512) -> Estimate:
    """The unbiased estimate of MMD^2 from all samples, with k(x, y) = (x.y / D + 1)^3, and its standard error.

    It needs no covariance, so few samples do, and it has no bias: around zero, and as often below, where both
    sets are of one distribution.

    The standard error estimates the exact variance of the estimate, first and second order, of two sets of
    independent samples. Hoeffding's decomposition has five uncorrelated parts: a main effect of each set, the
    interaction within each, and the interaction between them,

        Var = 4 v_a / M + 4 v_b / N + 2 q_a / (M (M - 1)) + 2 q_b / (N (N - 1)) + 4 q_ab / (M N),

    where v is the variance over x of E k(x, X') - E k(x, Y), and q that of the kernel less its two main effects
    (compare Sutherland et al. 2017, appendix A, for M = N). Each is estimated without bias, but the first two are
    cut off at 0 together: where the distributions are equal, they are 0, and the error is somewhat too large (by up
    to a fifth). There the value is not normally distributed.

    Args:
        a: Features of one set, one row a picture, M >= 4.
        b: Features of the other, N >= 4; from the same network, so E = D.
        block: Rows of the kernel matrix at a time; memory grows with it, the result does not change.

    Returns:
        Value and standard error.

    Raises:
        UserError: If features are not finite, too few, all equal, or of different dimensions.
    """
    for features, name in ((a, "the first features"), (b, "the second features")):
        check_features(features, name, least=FEWEST)
    check_comparable(a, b)
    a, b = a.to(torch.float64), b.to(torch.float64)
    within_a, within_b = _sums(a, a, block, diagonal=False), _sums(b, b, block, diagonal=False)
    between = _sums(a, b, block)
    m, n = len(a), len(b)
    value = within_a.rows.sum() / (m * (m - 1)) + within_b.rows.sum() / (n * (n - 1))
    value -= 2 * between.rows.sum() / (m * n)
    main, interactions = _variance(within_a, within_b, between)
    return _finite(value.item(), math.sqrt((main.clamp_min(0) + interactions).item()))


def kernel_distance_of_subsets(
    a: Float[Tensor, "M D"], b: Float[Tensor, "N E"], *, subsets: int = 100, subset_size: int = 1000, seed: int = 0
) -> Estimate:
    """The same estimated from random subsets, the protocol under which KID is usually published.

    The subsets are those that torch-fidelity draws for the same seed, so they depend on the order of the
    samples. `kernel_distance` uses every sample and has a smaller error.

    Args:
        a: Features of one set, one row a picture.
        b: Features of the other, from the same network, so E = D.
        subsets: How many pairs of subsets.
        subset_size: Samples in each, drawn without replacement.
        seed: Of the draws.

    Returns:
        Mean and standard deviation over the subsets. The latter is that of one subset, not of the mean.

    Raises:
        UserError: As `kernel_distance` does, or if a set is smaller than a subset.
    """
    if subsets < 1 or subset_size < 2:
        raise UserError(f"{subsets} subsets of {subset_size} samples: at least one of at least 2 is needed")
    for features, name in ((a, "the first features"), (b, "the second features")):
        check_features(features, name)
        if len(features) < subset_size:
            raise UserError(
                f"{name} are of {len(features)} pictures, fewer than a subset of {subset_size}: use smaller subsets "
                "or the distance of all samples"
            )
    check_comparable(a, b)
    random = np.random.RandomState(seed)  # its streams never change between versions of NumPy
    values = []
    for _ in range(subsets):
        x = a[torch.from_numpy(random.choice(len(a), subset_size, replace=False))].to(torch.float64)
        y = b[torch.from_numpy(random.choice(len(b), subset_size, replace=False))].to(torch.float64)
        within = (
            _sums(x, x, subset_size, diagonal=False).rows.sum() + _sums(y, y, subset_size, diagonal=False).rows.sum()
        )
        between = _sums(x, y, subset_size).rows.sum()
        values.append((within / (subset_size * (subset_size - 1)) - 2 * between / subset_size**2).item())
    return _finite(float(np.mean(values)), float(np.std(values)))


class _Sums(NamedTuple):
    """Sums of a kernel matrix: of each row, of each column, and of all squares."""

    rows: Float[Tensor, " M"]
    columns: Float[Tensor, " N"]
    squares: Float[Tensor, ""]


def _sums(a: Float[Tensor, "M D"], b: Float[Tensor, "N D"], block: int, diagonal: bool = True) -> _Sums:
    rows, columns, squares = [], torch.zeros(len(b), dtype=a.dtype), torch.zeros((), dtype=a.dtype)
    for start in range(0, len(a), block):
        kernel = (a[start : start + block] @ b.T).div_(a.shape[1]).add_(1).pow_(3)
        if not diagonal:
            kernel.diagonal(start).zero_()
        rows.append(kernel.sum(1))
        columns += kernel.sum(0)
        squares += kernel.square_().sum()
    return _Sums(torch.cat(rows), columns, squares)


def _variance(within_a: _Sums, within_b: _Sums, between: _Sums) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
    """Unbiased estimates of what main effects and interactions add to the variance; the first may be negative."""
    m, n, total = len(between.rows), len(between.columns), between.rows.sum()
    q_a, q_b = _within_interaction(within_a), _within_interaction(within_b)
    explained = between.rows.square().sum() / n + between.columns.square().sum() / m - total.square() / (m * n)
    q_ab = (between.squares - explained).clamp_min(0) / ((m - 1) * (n - 1))
    # A row's sum over m - 2 holds its own main effect once. What the interactions add to the spread is taken off.
    v_a = (within_a.rows / (m - 2) - between.rows / n).var() - q_a / (m - 2) - q_ab / n
    v_b = (within_b.rows / (n - 2) - between.columns / m).var() - q_b / (n - 2) - q_ab / m
    interactions = 2 * q_a / (m * (m - 1)) + 2 * q_b / (n * (n - 1)) + 4 * q_ab / (m * n)
    return 4 * v_a / m + 4 * v_b / n, interactions


def _within_interaction(sums: _Sums) -> Float[Tensor, ""]:
    """Unbiased mean square of a symmetric kernel less its main effects (U-centring, Szekely & Rizzo 2014)."""
    n, total = len(sums.rows), sums.rows.sum()
    explained = 2 * sums.rows.square().sum() / (n - 2) - total.square() / ((n - 1) * (n - 2))
    return (sums.squares - explained).clamp_min(0) / (n * (n - 3))


def _finite(value: float, error: float) -> Estimate:
    if not (math.isfinite(value) and math.isfinite(error)):
        raise UserError("the features are too large for the kernel distance: their cubes are not finite")
    return Estimate(value, error)
