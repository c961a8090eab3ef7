"""The Inception score: how sure a classifier is of each picture, and how many classes it sees in all."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from ganvas.errors import UserError
from ganvas.metrics.interval import Estimate

TOLERANCE = 1e-3
"""How far from 1 the probabilities of a picture may sum, which half precision needs."""


def inception_score(probabilities: Float[Tensor, "N K"], splits: int = 10, seed: int = 0) -> Estimate:
    """exp(E KL(p(y|x) || p(y))), natural logarithm, for each split (Salimans et al. 2016, section 4).

    It is from 1 to K, and a split of n samples cannot give more than n: few samples score low.

    Which samples share a split depends on their values and on `seed`, not on their order: they are sorted by
    their values and then shuffled.

    Args:
        probabilities: p(y|x), one row a picture.
        splits: In how many parts, as equal as can be, to cut the samples.
        seed: Of the shuffle.

    Returns:
        Mean and standard deviation over the splits.

    Raises:
        UserError: If rows are no probabilities, or there are fewer than splits or than two classes.
    """
    if probabilities.ndim != 2 or probabilities.shape[1] < 2:
        raise UserError(f"probabilities must have the shape (N, K) with K >= 2, not {tuple(probabilities.shape)}")
    if splits < 1 or len(probabilities) < splits:
        raise UserError(f"{len(probabilities)} pictures cannot be cut into {splits} splits: use more, or fewer splits")
    # Adding zero makes -0 into 0, which is the same number in other bytes.
    values = probabilities.detach().to(torch.float64).contiguous() + 0.0
    wrong = ~(torch.isfinite(values) & (values >= 0)).all(1) | ~((values.sum(1) - 1).abs() <= TOLERANCE)
    if bool(wrong.any()):
        raise UserError(
            f"{int(wrong.sum())} of {len(values)} rows are no probabilities (not negative, summing to 1): "
            "give the classifier's softmax, not its logits"
        )
    rows = values.numpy().view(np.dtype((np.void, values.shape[1] * values.itemsize)))[:, 0]
    order = np.argsort(rows)[np.random.default_rng(seed).permutation(len(rows))]
    scores = [_score(values[torch.from_numpy(part)]) for part in np.array_split(order, splits)]
    return Estimate(float(np.mean(scores)), float(np.std(scores)))


def _score(p: Float[Tensor, "n K"]) -> float:
    """The mean of KL(p || q), q the mean of p, is the entropy of q less the mean entropy of p."""
    q = p.mean(0)
    information = torch.special.xlogy(p, p).sum(1).mean() - torch.special.xlogy(q, q).sum()
    return information.clamp_min(0).exp().item()
