"""The Frechet distance between two sets of features, each taken for a Gaussian."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from ganvas.errors import UserError
from ganvas.metrics.checks import check_features, different

NOT_POSITIVE = 1e-8
"""Of the largest eigenvalue: a covariance with one more negative than this is none, and not only rounded."""


@dataclass(frozen=True)
class Moments:
    """What the Frechet distance asks of a set of features.

    Attributes:
        mean: (D,) float64.
        covariance: (D, D) float64, unbiased.
        count: Samples it was computed from.
    """

    mean: Float[Tensor, " D"]
    covariance: Float[Tensor, "D D"]
    count: int


def moments(features: Float[Tensor, "N D"], name: str = "the features") -> Moments:
    """Mean and unbiased covariance, in float64.

    Args:
        features: One row a picture, N >= 2.
        name: What to call them in an error.

    Raises:
        UserError: If a feature is not finite, there are fewer than two rows, or all rows are equal.
    """
    check_features(features, name, least=2)
    values = features.to(torch.float64)
    mean = values.mean(0)
    centred = values - mean
    covariance = centred.T @ centred / (len(values) - 1)
    return Moments(mean, (covariance + covariance.T) / 2, len(values))


def frechet_distance(a: Moments, b: Moments) -> float:
    """|mu_a - mu_b|^2 + tr(C_a + C_b - 2 (C_a C_b)^(1/2)): Dowson & Landau 1982; Heusel et al. 2017, eq. 6.

    With C = L L^T, the trace of (C_a C_b)^(1/2) is the sum of the singular values of L_a^T L_b. These are
    rounded relative to the largest; square roots of the eigenvalues of C_a C_b only to the root of that, which
    a covariance that is close to singular would turn into a wrong distance. It is symmetric, and 0 for a = b.

    It is biased: the same two distributions come out further apart the fewer samples there are, so compare it
    at equal counts only.

    Raises:
        UserError: If the dimensions differ, a set has no more samples than dimensions (its covariance is
            singular then whatever the pictures are), a number is not finite, or a covariance is none.
    """
    if len(a.mean) != len(b.mean):
        raise UserError(different(len(a.mean), len(b.mean)))
    for found in (a, b):
        dimensions = len(found.mean)
        if found.count <= dimensions:
            raise UserError(
                f"the Frechet distance of {dimensions} features needs at least {dimensions + 1} pictures on each side, "
                f"not {found.count}: use more, or the kernel distance, which needs no covariance"
            )
    root_a, root_b = _root(a), _root(b)
    overlap = torch.linalg.svdvals(root_a.T @ root_b).sum()
    squared = (a.mean - b.mean).square().sum()
    distance = squared + root_a.square().sum() + root_b.square().sum() - 2 * overlap
    return max(0.0, distance.item())


def _root(found: Moments) -> Float[Tensor, "D D"]:
    """L with L L^T = C."""
    mean, covariance = found.mean.to(torch.float64), found.covariance.to(torch.float64)
    if not (torch.isfinite(mean).all() and torch.isfinite(covariance).all()):
        raise UserError("the mean or the covariance of the features is not finite (NaN or infinite)")
    values, vectors = torch.linalg.eigh(covariance)
    if values[0] < -NOT_POSITIVE * values[-1].abs():
        raise UserError("the covariance of the features has negative eigenvalues: it was not computed from features")
    return vectors * values.clamp_min(0).sqrt()
