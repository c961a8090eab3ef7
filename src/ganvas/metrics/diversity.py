"""How different samples are from each other: a perceptual distance between pairs of pictures."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from ganvas.errors import UserError

TINY = 1e-10
"""Length below which a feature vector counts as zero."""


def perceptual_distance(
    stages_a: Sequence[Float[Tensor, "B _ _ _"]], stages_b: Sequence[Tensor]
) -> Float[Tensor, " B"]:
    """Zhang et al. 2018, eq. 1, with all weights 1: the distance of LPIPS before it is tuned to people's answers.

    At each position of each stage's map the vector over channels is scaled to length 1; squared differences are
    summed over channels, averaged over positions and summed over stages. A vector of zeros stays zero. It is
    from 0 to 2 a stage where features are not negative, else to 4.

    Args:
        stages_a: Maps of a network's stages, each (B, C, H, W); C, H and W may differ between stages.
        stages_b: The same of the pictures to compare with, picture by picture.

    Returns:
        One distance for each of the B pairs, float64.

    Raises:
        UserError: If the maps do not match, there are none, or a number is not finite.
    """
    shapes_a, shapes_b = ([tuple(stage.shape) for stage in stages] for stages in (stages_a, stages_b))
    if not shapes_a or shapes_a != shapes_b or len({shape[0] for shape in shapes_a}) > 1:
        raise UserError(f"maps of the same stages and pictures are needed, not {shapes_a} and {shapes_b}")
    parts = []
    for a, b in zip(stages_a, stages_b, strict=True):
        unit_a, unit_b = (F.normalize(stage.to(torch.float64), dim=1, eps=TINY) for stage in (a, b))
        parts.append((unit_a - unit_b).square().sum(1).mean((1, 2)))
    distances = torch.stack(parts).sum(0)
    if not bool(torch.isfinite(distances).all()):
        raise UserError("the maps hold numbers that are not finite (NaN or infinite)")
    return distances
