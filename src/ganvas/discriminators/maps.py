"""Any discriminator made conditional on pictures: it sees the pair (Isola et al. 2017, section 3.2.2)."""

from __future__ import annotations

import dataclasses

import torch
from jaxtyping import Float
from torch import Tensor, nn

from ganvas.discriminators.verdict import Condition, Verdict


class WithMaps(nn.Module):
    """A discriminator of pictures with `Condition.maps` laid beside their channels.

    Args:
        network: A discriminator of pictures with as many channels as picture and maps have together.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        self.judges_pixels = getattr(network, "judges_pixels", False)

    def forward(self, images: Float[Tensor, "B C H W"], condition: Condition | None = None) -> Verdict:
        """The network's verdict on pictures and maps together; the rest of the condition is passed on.

        Raises:
            ValueError: The condition has no maps.
        """
        if condition is None or condition.maps is None:
            raise ValueError("this discriminator judges pairs: it needs Condition(maps=...)")
        rest = dataclasses.replace(condition, maps=None)
        verdict: Verdict = self.network(torch.cat([images, condition.maps.to(images.dtype)], 1), rest)
        return verdict
