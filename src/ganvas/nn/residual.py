"""The residual block with a bottleneck that text-to-image networks share."""

from __future__ import annotations

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn


class Bottleneck(nn.Module):
    """1x1, 3x3 and 3x3 convolutions, each with batch norm, added to what came in (Reed et al. 2016, published code).

    Args:
        channels: In and out.
        hidden: Between the convolutions; at least 1.
        slope: Of the leaky ReLU after the first two and after the sum; 0 is ReLU.
        bias: Whether the convolutions have biases beside those of batch norm.
    """

    def __init__(self, channels: int, hidden: int, slope: float = 0.0, *, bias: bool = True) -> None:
        super().__init__()
        self.slope, hidden = slope, max(1, hidden)
        self.first = nn.Sequential(nn.Conv2d(channels, hidden, 1, bias=bias), nn.BatchNorm2d(hidden))
        self.second = nn.Sequential(nn.Conv2d(hidden, hidden, 3, 1, 1, bias=bias), nn.BatchNorm2d(hidden))
        self.third = nn.Sequential(nn.Conv2d(hidden, channels, 3, 1, 1, bias=bias), nn.BatchNorm2d(channels))

    def forward(self, x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B C H W"]:
        """Features of the same shape, rectified."""
        h = F.leaky_relu(self.first(x), self.slope, inplace=True)
        h = F.leaky_relu(self.second(h), self.slope, inplace=True)
        return F.leaky_relu(self.third(h) + x, self.slope, inplace=True)
