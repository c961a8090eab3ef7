"""The discriminator of DCGAN: strided convolutions, one logit a picture."""

from __future__ import annotations

from typing import Literal

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from ganvas.discriminators.resnet import project
from ganvas.discriminators.verdict import Condition, Verdict
from ganvas.errors import UserError
from ganvas.nn.init import dcgan_init
from ganvas.nn.layers import Linear

WIDEST = 16
"""Channels of the narrowest feature maps, in units of the width, at most."""

NormPlaces = Literal["paper", "all", "none"]


def conv_widths(size: int, width: int) -> list[int]:
    """Channels at size / 2, size / 4, ... down to 4 px: doubled at each (Radford et al. 2016), at most 16-fold.

    Raises:
        UserError: The size is no power of two from 16.
    """
    if size < 16 or size & (size - 1):
        raise UserError(f"the conv networks take pictures whose side is a power of two from 16, not {size} px")
    return [min(2**level, WIDEST) * width for level in range(size.bit_length() - 3)]


class ConvDiscriminator(nn.Module):
    """DCGAN's discriminator (Radford et al. 2016, section 3); every rule of the paper can be switched off.

    Args:
        size: Side of the pictures, pixels: a power of two from 16.
        channels: Colour channels.
        width: Channels after the first convolution: 64 with kernel 4 in common code, 128 with kernel 5 as published.
        classes: Length of `Condition.vector`, which is projected (Miyato & Koyama 2018); 0 is unconditional.
        kernel: Side of the kernels, pixels.
        batch_norm: Where: `paper` after all convolutions but the first, `all` after that one too, `none`.
        downsample: `strided` convolutions, or convolutions and 2x2 max `pool`ing.
        activation: After each convolution.
        head: `flatten`: a linear layer on all of the last maps; `average`: on their means over positions.
        hidden: Units of a fully connected layer before the head; 0 is none.

    Raises:
        UserError: Another size.
    """

    def __init__(
        self,
        size: int,
        *,
        channels: int = 3,
        width: int = 64,
        classes: int = 0,
        kernel: int = 4,
        batch_norm: NormPlaces = "paper",
        downsample: Literal["strided", "pool"] = "strided",
        activation: Literal["leaky-relu", "relu"] = "leaky-relu",
        head: Literal["flatten", "average"] = "flatten",
        hidden: int = 0,
    ) -> None:
        super().__init__()
        self.slope = 0.2 if activation == "leaky-relu" else 0.0
        bias = batch_norm == "none"  # batch norm brings its own; the paper's layers without it have none either
        self.blocks = nn.ModuleList()
        inputs = channels
        for outputs in conv_widths(size, width):
            if downsample == "strided":
                layers: list[nn.Module] = [nn.Conv2d(inputs, outputs, kernel, 2, (kernel - 1) // 2, bias=bias)]
            else:  # an odd kernel, so that the size stays
                side = kernel - 1 + kernel % 2
                layers = [nn.Conv2d(inputs, outputs, side, padding=side // 2, bias=bias), nn.MaxPool2d(2)]
            if batch_norm == "all" or (batch_norm == "paper" and self.blocks):
                layers.append(nn.BatchNorm2d(outputs))
            self.blocks.append(nn.Sequential(*layers))
            inputs = outputs
        self.average = head == "average"
        features = inputs if self.average else inputs * 4 * 4
        self.hidden = Linear(features, hidden) if hidden else None
        features = hidden or features
        self.head = Linear(features, 1, bias=bias)
        self.projection = Linear(classes, features, bias=False) if classes else None
        dcgan_init(self)

    def forward(self, images: Float[Tensor, "B C H W"], condition: Condition | None = None) -> Verdict:
        """One logit a picture, head `image` (B,); features are the activations, fine to coarse."""
        h = images
        features = []
        for block in self.blocks:
            h = F.leaky_relu(block(h), self.slope, inplace=True)
            features.append(h)
        h = h.mean((2, 3)) if self.average else h.flatten(1)
        if self.hidden is not None:
            h = F.leaky_relu(self.hidden(h), self.slope, inplace=True)
        logits = self.head(h).squeeze(1)
        return Verdict({"image": project(logits, h, self.projection, condition)}, tuple(features))
