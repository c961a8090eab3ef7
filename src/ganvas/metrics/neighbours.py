"""Scores from nearest neighbours: precision, recall, density and coverage.

All distances are Euclidean, in float64. A point is left out of its own neighbours by its row, not by its
distance of 0, so a picture that occurs twice is its twin's nearest neighbour.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from ganvas.errors import UserError
from ganvas.metrics.checks import check_comparable, check_features

SPARE = 8
"""Further candidates that `nearest` computes exactly, so that rounding cannot hide the nearest one."""
ROUNDING = 1e-12
"""Of the squared lengths involved: squared distances that differ by less are equal."""


class PRDC(NamedTuple):
    """Precision, recall, density and coverage; all are better when higher.

    Attributes:
        precision: Share of samples that lie in a ball around a real picture: what is drawn looks real.
        recall: Share of real pictures that lie in a ball around a sample: what is real is drawn.
        density: In how many balls around real pictures a sample lies, over how many are expected; may exceed 1.
        coverage: Share of real pictures whose ball holds a sample.
    """

    precision: float
    recall: float
    density: float
    coverage: float


def precision_recall_density_coverage(
    real: Float[Tensor, "N D"],
    fake: Float[Tensor, "M E"],
    *,
    precision_k: int = 3,
    density_k: int = 5,
    block: int = 512,
) -> PRDC:
    """Precision and recall of Kynkaanniemi et al. 2019, eq. 1 and 2; density and coverage of Naeem et al. 2020.

    A ball reaches from a point to the k-th nearest other point of its own set, border included.

    All four depend on the numbers of pictures: compare them at equal N and M only. For equal distributions the
    expected density is 1, and the expected coverage 1 - 2^-k where M = N is large.

    Args:
        real: Features of real pictures, one row each.
        fake: Features of samples, from the same network, so E = D.
        precision_k: k of precision and recall, 3 in their paper.
        density_k: k of density and coverage, 5 in theirs.
        block: Rows of the distance matrix at a time; memory grows with it, the result does not change.

    Raises:
        UserError: If features are not finite, of different dimensions, all equal, or no more than k.
    """
    if min(precision_k, density_k) < 1:
        raise UserError(f"k is at least 1, not {min(precision_k, density_k)}")
    check_features(real, "real features", least=max(precision_k, density_k) + 1)
    check_features(fake, "fake features", least=precision_k + 1)
    check_comparable(real, fake)
    radii = nearest(real, real, max(precision_k, density_k), leave_one_out=True, block=block)[0]
    reach, reach_fake = radii[:, precision_k - 1], nearest(fake, fake, precision_k, leave_one_out=True, block=block)[0]
    # Centred, since products of numbers far from zero round more.
    centre = real.mean(0, dtype=torch.float64)
    real, fake = real - centre, fake - centre
    limit = _limit(real, reach)
    limit_density = _limit(real, radii[:, density_k - 1])
    limit_fake = _limit(fake, reach_fake[:, precision_k - 1])
    precise = torch.zeros(len(fake), dtype=torch.bool)
    recalled, covered, balls = 0, 0, 0
    for rows, squared in squared_distances(real, fake, block):
        precise |= (squared <= limit[rows, None]).any(0)
        recalled += int((squared <= limit_fake).any(1).sum())
        inside = squared <= limit_density[rows, None]
        covered += int(inside.any(1).sum())
        balls += int(inside.sum())
    return PRDC(
        precise.sum().item() / len(fake), recalled / len(real), balls / (density_k * len(fake)), covered / len(real)
    )


def nearest(
    queries: Float[Tensor, "M D"],
    references: Float[Tensor, "N E"],
    k: int = 1,
    *,
    leave_one_out: bool = False,
    block: int = 512,
) -> tuple[Float[Tensor, "M k"], Int64[Tensor, "M k"]]:
    """The k nearest references of each query.

    Args:
        queries: One row each.
        references: One row each, from the same network, so E = D.
        k: How many, at most N (N - 1 if `leave_one_out`).
        leave_one_out: Whether the queries are the references, and none is a neighbour of itself.
        block: Queries at a time; memory grows with it, the result does not change.

    Returns:
        Distances in ascending order, float64, exactly 0 for equal rows; and the rows of the references.

    Raises:
        UserError: If features are not finite or of different dimensions, or there are fewer than k.
    """
    check_features(queries, "queried features", varied=False)
    check_features(references, "reference features", varied=False)
    check_comparable(queries, references)
    there = len(references) - leave_one_out
    if not 1 <= k <= there:
        raise UserError(f"{k} nearest neighbours are asked for, and there are {there}")
    if leave_one_out and len(queries) != len(references):
        raise UserError("to leave a point out of its own neighbours, the queries must be the references")
    centre = references.mean(0, dtype=torch.float64)
    queries, references = queries - centre, references - centre
    distances, indices = [], []
    for rows, squared in squared_distances(queries, references, block):
        if leave_one_out:
            squared.diagonal(rows.start).fill_(torch.inf)
        # Products of matrices are fast and rounded: they only choose who is compared exactly.
        candidates = squared.topk(min(k + SPARE, there), largest=False).indices.sort(dim=1).values
        exact = torch.linalg.vector_norm(queries[rows, None] - references[candidates], dim=2)
        found, order = exact.sort(dim=1, stable=True)
        distances.append(found[:, :k])
        indices.append(candidates.gather(1, order[:, :k]))
    return torch.cat(distances), torch.cat(indices)


def _limit(points: Float[Tensor, "N D"], radii: Float[Tensor, " N"]) -> Float[Tensor, " N"]:
    """Squared radii, wider by what rounding may add to the squared distance of a point on the border."""
    squared = radii.square()
    return squared + ROUNDING * (points.square().sum(1) + squared)


def squared_distances(
    a: Float[Tensor, "M D"], b: Float[Tensor, "N D"], block: int
) -> Iterator[tuple[slice, Float[Tensor, "m N"]]]:
    """|x|^2 + |y|^2 - 2 x.y, a block of rows at a time."""
    lengths = b.square().sum(1)
    for start in range(0, len(a), block):
        rows = slice(start, start + block)
        squared = torch.addmm(lengths, a[rows], b.T, alpha=-2)
        yield rows, squared.add_(a[rows].square().sum(1)[:, None])
