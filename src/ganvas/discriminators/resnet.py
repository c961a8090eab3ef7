"""The residual discriminator of BigGAN: one logit a picture."""

from __future__ import annotations

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from ganvas.discriminators.verdict import Condition, Verdict
from ganvas.errors import UserError
from ganvas.nn.blocks import DownBlock, SelfAttention, orthogonal_init
from ganvas.nn.layers import Linear

CHANNELS = {
    32: (4, 4, 4, 4),
    64: (1, 2, 4, 8, 16),
    128: (1, 2, 4, 8, 16, 16),
    256: (1, 2, 4, 8, 8, 16, 16),
}
"""Output channels of each block in units of the width, by picture size (Brock et al. 2019, tables 4-8).

A block halves the resolution as long as it is above 4 px (8 px at 32), the rest keep it."""


class ResNetDiscriminator(nn.Module):
    """BigGAN's discriminator with class projection (Brock et al. 2019; Miyato & Koyama 2018).

    Args:
        size: Side of the pictures, pixels: 32, 64, 128 or 256.
        channels: Colour channels.
        width: Channels of the first block, `ch` in the paper.
        classes: Length of `Condition.vector`; 0 is unconditional.
        attention: Resolution at which self-attention is put, pixels; 0 is none.

    Raises:
        UserError: Another size.
    """

    def __init__(self, size: int, *, channels: int = 3, width: int = 64, classes: int = 0, attention: int = 0) -> None:
        super().__init__()
        if size not in CHANNELS:
            raise UserError(f"the resnet discriminator takes pictures of 32, 64, 128 or 256 px, not {size}")
        blocks: list[nn.Module] = []
        inputs, resolution = channels, size
        for multiple in CHANNELS[size]:
            downsample = resolution > (8 if size == 32 else 4)
            blocks.append(DownBlock(inputs, multiple * width, preactivation=bool(blocks), downsample=downsample))
            inputs = multiple * width
            resolution //= 2 if downsample else 1
            if downsample and resolution == attention:
                blocks.append(SelfAttention(inputs))
        self.blocks = nn.Sequential(*blocks)
        self.head = Linear(inputs, 1, spectral=True)
        self.projection = Linear(classes, inputs, spectral=True, bias=False) if classes else None
        orthogonal_init(self)

    def forward(self, images: Float[Tensor, "B C H W"], condition: Condition | None = None) -> Verdict:
        """One logit a picture, head `image` (B,); features are the blocks' outputs, fine to coarse."""
        h = images
        features = []
        for block in self.blocks:
            h = block(h)
            features.append(h)
        h = F.relu(h).sum((2, 3))  # a sum over positions, not a mean
        logits = project(self.head(h).squeeze(1), h, self.projection, condition)
        return Verdict({"image": logits}, tuple(features))


def project(
    logits: Float[Tensor, "B *space"],
    features: Float[Tensor, "B E *space"],
    projection: Linear | None,
    condition: Condition | None,
) -> Float[Tensor, "B *space"]:
    """Logits plus the inner product of features and embedded condition, at every position (Miyato & Koyama 2018).

    Raises:
        ValueError: The discriminator is conditional and the condition has no vector, or the other way round.
    """
    vector = None if condition is None else condition.vector
    if projection is None:
        if vector is not None:
            raise ValueError("this discriminator is unconditional: build it with `classes`, or pass no vector")
        return logits
    if vector is None:
        raise ValueError("this discriminator is conditional: it needs Condition(vector=...)")
    embedded = projection(vector)  # (B, E)
    return logits + (features * embedded.reshape(*embedded.shape, *[1] * (features.ndim - 2))).sum(1)
