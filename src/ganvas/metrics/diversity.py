"""How different samples are from each other: a perceptual distance between pairs of pictures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float, Float64, UInt8
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


Stages = Callable[[UInt8[Tensor, "B H W C"]], Sequence[Float[Tensor, "B _ _ _"]]]
"""Maps of a network's stages, such as `ganvas.metrics.networks.FeatureNetwork.stages`."""


class CaptionDiversity(NamedTuple):
    """Perceptual distances of pairs of samples, one of each pair for every caption, float64.

    Attributes:
        within: Of two samples of the same caption.
        across: Of a sample of a caption and one of the next caption.
    """

    within: Float64[Tensor, " N"]
    across: Float64[Tensor, " N"]


def caption_diversity(
    stages: Stages, first: UInt8[Tensor, "N H W C"], second: UInt8[Tensor, "N H W C"], *, batch: int = 32
) -> CaptionDiversity:
    """How much samples of one caption differ, beside how much those of different captions do.

    Where the noise is ignored `within` is near 0; where the caption is, the two are alike.

    Args:
        stages: Of the network that looks at them.
        first: A sample of each of N captions.
        second: Another of each, of another z, in the same order.
        batch: Pictures at a time, each picture of `second` twice.

    Raises:
        UserError: The two are not equally many, there are fewer than two captions, or the network has no stages.
    """
    if first.shape != second.shape or len(first) < 2:
        raise UserError(
            f"two samples of each of two captions or more are compared, not {len(first)} and {len(second)} samples"
        )
    following = second.roll(-1, 0)
    within, across = [], []
    for start in range(0, len(first), batch):
        part = slice(start, start + batch)
        one, same, other = ([*stages(images[part])] for images in (first, second, following))
        if not one:
            raise UserError("this network shows no inner layers: choose efficientnet_lite0")
        within.append(perceptual_distance(one, same))
        across.append(perceptual_distance(one, other))
    return CaptionDiversity(torch.cat(within), torch.cat(across))
