"""Maxout: each unit is the largest of several linear functions of its inputs."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor, nn


class Maxout(nn.Linear):
    """A layer of maxout units (Goodfellow et al. 2013, arXiv 1302.4389, section 3).

    Args:
        inputs: Features in.
        units: Features out.
        pieces: Linear functions a unit.
    """

    def __init__(self, inputs: int, units: int, pieces: int) -> None:
        super().__init__(inputs, units * pieces)
        self.pieces = pieces

    def forward(self, x: Float[Tensor, "B I"]) -> Float[Tensor, "B O"]:
        """The largest piece of each unit."""
        return super().forward(x).view(len(x), -1, self.pieces).amax(2)
