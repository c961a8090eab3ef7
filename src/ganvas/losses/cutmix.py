"""CutMix between real and generated pictures, for discriminators that judge every pixel."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor


def cutmix_mask(batch: int, height: int, width: int, device: torch.device | str = "cpu") -> Float[Tensor, "B 1 H W"]:
    """Random binary masks, 1 = real: a box is cut out, and with probability 1/2 the two sides are swapped.

    lambda ~ Beta(1, 1); the box covers a share 1 - lambda of the picture before it is clipped at the border;
    its centre is uniform (Yun et al. 2019, section 3.1; the inversion is U-Net GAN's published code).
    The mean over many masks is 1/2, by the inversion.

    Args:
        batch: Number of masks.
        height: Of the pictures, pixels.
        width: Of the pictures, pixels.
        device: Where the masks are made.
    """
    draws = torch.rand(4, batch, 1, device=device)
    side = torch.sqrt(1 - draws[0])
    inside = []
    for length, centre in ((height, draws[1]), (width, draws[2])):
        span = torch.floor(length * side)
        start = torch.floor(length * centre) - torch.floor(span / 2)
        position = torch.arange(length, device=device)
        inside.append((position >= start) & (position < start + span))  # (B, length)
    box = inside[0][:, :, None] & inside[1][:, None, :]  # (B, H, W)
    inverted = (draws[3] < 0.5)[:, :, None]
    return (box == inverted).unsqueeze(1).float()


def mix(
    real: Float[Tensor, "B C H W"], fake: Float[Tensor, "B C H W"], mask: Float[Tensor, "B 1 H W"]
) -> Float[Tensor, "B C H W"]:
    """M * x + (1 - M) * G(z) (Schönfeld et al. 2020, eq. 6)."""
    return torch.where(mask.bool(), real, fake)
