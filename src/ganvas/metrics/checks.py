"""What features must be before a score is computed from them: never a silent number."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from ganvas.errors import UserError


def check_features(features: Float[Tensor, "N D"], name: str, least: int = 1, varied: bool = True) -> None:
    """Refuses features that no score can be computed from.

    Args:
        features: One row a picture.
        name: What to call them.
        least: How many rows there must be.
        varied: Whether they must differ.

    Raises:
        UserError: If a feature is not finite, there are too few rows, or all rows are equal up to rounding.
    """
    if features.ndim != 2 or not features.shape[1]:
        raise UserError(f"{name} must have the shape (N, D), not {tuple(features.shape)}")
    if len(features) < least:
        raise UserError(f"{name} are of {len(features)} pictures, and at least {least} are needed")
    bad = int((~torch.isfinite(features)).any(1).sum())
    if bad:
        raise UserError(f"{name} of {bad} of {len(features)} pictures are not finite (NaN or infinite)")
    spread = features.amax(0) - features.amin(0)
    rounding = 16 * torch.finfo(features.dtype).eps * features.abs().amax(0)
    if varied and bool((spread <= rounding).all()):
        raise UserError(
            f"{name} are the same for all {len(features)} pictures: the pictures or the network are constant"
        )


def check_comparable(a: Float[Tensor, "N D"], b: Float[Tensor, "M E"]) -> None:
    """Refuses two sets of features that are not of one network.

    Raises:
        UserError: If their dimensions differ.
    """
    if a.shape[1] != b.shape[1]:
        raise UserError(different(a.shape[1], b.shape[1]))


def different(a: int, b: int) -> str:
    """The complaint about features of two networks."""
    return f"features of {a} and of {b} dimensions cannot be compared: take both from the same network"
