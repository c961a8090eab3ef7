"""Noticing that a generator has collapsed: its pictures have become much more alike than the data's."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

FRACTION = 0.25
"""Share of the data's diversity under which samples count as collapsed."""

PATIENCE = 2
"""Observations in a row that must be that low before it is reported."""


def diversity(images: Float[Tensor, "B C H W"], side: int = 32) -> float:
    """Mean distance between two of the pictures.

    Args:
        images: At least two pictures in [-1, 1].
        side: Larger pictures are averaged down to this height, so that fine noise does not count.

    Returns:
        The root mean square difference of two pictures' values, averaged over all pairs; 0 if all are alike.
    """
    images = images.detach().float()
    if images.shape[-2] > side:
        width = max(1, images.shape[-1] * side // images.shape[-2])
        images = F.adaptive_avg_pool2d(images, (side, width))
    flat = images.reshape(len(images), -1).cpu()
    return float(F.pdist(flat).mean() / flat.shape[1] ** 0.5) if len(flat) > 1 else 0.0


class CollapseWatch:
    """Compares the diversity of samples with the data's, and reports when it has fallen and stays fallen."""

    def __init__(self, real: Float[Tensor, "B C H W"], fraction: float = FRACTION, patience: int = PATIENCE) -> None:
        """Measures the data.

        Args:
            real: Pictures of the data, as many as samples will be compared.
            fraction: See `FRACTION`.
            patience: See `PATIENCE`.
        """
        self.real = diversity(real)
        self.fraction = fraction
        self.patience = patience
        self.low = 0

    def ratio(self, samples: Float[Tensor, "B C H W"]) -> float:
        """Diversity of `samples` as a share of the data's; 1 where the data itself has none."""
        return diversity(samples) / self.real if self.real > 0 else 1.0

    def observe(self, ratio: float) -> bool:
        """Takes in one grid's ratio; True exactly when the report is due, once for each collapse."""
        self.low = self.low + 1 if ratio < self.fraction else 0
        return self.low == self.patience
