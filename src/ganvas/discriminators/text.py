"""The discriminator of GAN-CLS and of both stages of StackGAN: convolutions to 4x4, where the caption joins them."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from ganvas.discriminators.verdict import Condition, Verdict
from ganvas.errors import UserError
from ganvas.nn.init import dcgan_init
from ganvas.nn.layers import ToPixel
from ganvas.nn.residual import Bottleneck
from ganvas.nn.text import tiled

WIDEST = 8
"""Channels where the caption joins, in units of the width, at most; larger pictures pass through more before."""


class TextDiscriminator(nn.Module):
    """Judges pictures together with embedded captions (Reed et al. 2016; Zhang et al. 2017).

    Strided 4x4 convolutions to 4x4 maps whose channels double each time, 1x1 ones that halve those above 8 times the
    width, a residual block; there a compressed caption is laid at every position, and two more convolutions give a
    logit.

    Args:
        size: Side of the pictures, pixels: a power of two from 32.
        embedding: Length of `Condition.vector`, the embedded caption.
        channels: Colour channels.
        width: Channels after the first convolution.
        text_units: What the caption is compressed to.
        text_norm: Batch norm after that (GAN-CLS; StackGAN has none).
        gap: No activation after the third convolution, as in GAN-CLS's published code for birds and flowers.
        bias: Whether convolutions have biases (GAN-CLS; StackGAN has none).

    Raises:
        UserError: Another size.
    """

    def __init__(
        self,
        size: int,
        embedding: int,
        *,
        channels: int = 3,
        width: int = 64,
        text_units: int = 128,
        text_norm: bool = False,
        gap: bool = False,
        bias: bool = False,
    ) -> None:
        super().__init__()
        if size < 32 or size & (size - 1):
            raise UserError(f"pictures with captions have sides that are powers of two from 32, not {size} px")
        layers: list[nn.Module] = [nn.Conv2d(channels, width, 4, 2, 1, bias=bias), nn.LeakyReLU(0.2, inplace=True)]
        inputs, halvings = width, size.bit_length() - 3
        for level in range(2, halvings + 1):
            layers += [nn.Conv2d(inputs, 2 * inputs, 4, 2, 1, bias=bias), nn.BatchNorm2d(2 * inputs)]
            inputs *= 2
            # The residual block's own activation comes after it.
            if level < halvings and not (gap and level == 3):
                layers.append(nn.LeakyReLU(0.2, inplace=True))
        while inputs > WIDEST * width:
            layers += [nn.LeakyReLU(0.2, inplace=True), nn.Conv2d(inputs, inputs // 2, 1, bias=bias)]
            inputs //= 2
            layers.append(nn.BatchNorm2d(inputs))
        self.convolutions = nn.Sequential(*layers)
        self.residual = Bottleneck(inputs, inputs // 4, 0.2, bias=bias)
        compress: list[nn.Module] = [nn.Linear(embedding, text_units)]
        compress += [nn.BatchNorm1d(text_units)] if text_norm else []
        self.text = nn.Sequential(*compress, nn.LeakyReLU(0.2, inplace=True))
        self.joint = nn.Sequential(
            nn.Conv2d(inputs + text_units, inputs, 1, bias=bias),
            nn.BatchNorm2d(inputs),
            nn.LeakyReLU(0.2, inplace=True),
        )
        self.head = ToPixel(inputs, 1, bias=bias)
        dcgan_init(self)

    def encode(self, images: Float[Tensor, "B C H W"]) -> Float[Tensor, "B D 4 4"]:
        """What is seen of pictures without their captions."""
        return self.residual(self.convolutions(images))

    def decide(self, seen: Float[Tensor, "B D 4 4"], condition: Condition | None) -> Verdict:
        """Head `image` (B,) for what `encode` gave, with captions.

        Raises:
            ValueError: There are none.
        """
        if condition is None or condition.vector is None:
            raise ValueError("this discriminator judges pictures with captions: it needs Condition(vector=...)")
        text = self.text(condition.vector)
        joint = self.joint(torch.cat([seen, tiled(text, seen)], 1))
        return Verdict({"image": self.head(joint).flatten()}, (seen, joint))

    def forward(self, images: Float[Tensor, "B C H W"], condition: Condition | None = None) -> Verdict:
        """One logit a picture, head `image` (B,); features are those before and after the caption joins."""
        return self.decide(self.encode(images), condition)
