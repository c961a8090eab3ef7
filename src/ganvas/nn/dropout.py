"""Dropout as a generator's only noise, in training and when it draws (Isola et al. 2017, section 3.4)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from ganvas.engine.seeding import seed_for


class NoiseDropout(nn.Module):
    """Dropout that is at work outside of training too, inside `noise_from`; elsewhere it lets everything pass.

    Args:
        probability: Of each number to become 0; the others grow by 1 / (1 - probability).
    """

    def __init__(self, probability: float = 0.5) -> None:
        super().__init__()
        self.probability = probability
        self.seeds: Sequence[int] | None = None

    def forward(self, x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B C H W"]:
        """Drop numbers."""
        if self.training:
            return F.dropout(x, self.probability)
        if self.seeds is None:
            return x
        # Drawn on the CPU, a picture at a time: the same picture of a seed on every device and in every batch.
        kept = [torch.rand(x.shape[1:], generator=_generator(seed)) >= self.probability for seed in self.seeds]
        return x * (torch.stack(kept).to(x.device) / (1 - self.probability)).to(x.dtype)


@contextmanager
def noise_from(network: nn.Module, seeds: Sequence[int]) -> Iterator[None]:
    """Within, the dropouts of a network in eval mode drop what depends on each picture's seed alone.

    Args:
        network: Whose dropouts are meant.
        seeds: One integer a picture of the batch that is passed through it.
    """
    layers = [layer for layer in network.modules() if isinstance(layer, NoiseDropout)]
    for number, layer in enumerate(layers):
        layer.seeds = [seed_for("dropout", seed, number) for seed in seeds]
    try:
        yield
    finally:
        for layer in layers:
            layer.seeds = None


def _generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)
