"""The discriminator of pix2pix: one logit for every overlapping patch of a picture."""

from __future__ import annotations

from typing import Literal, get_args

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from ganvas.discriminators.resnet import project
from ganvas.discriminators.verdict import Condition, Verdict
from ganvas.errors import UserError
from ganvas.nn.init import dcgan_init
from ganvas.nn.layers import Linear
from ganvas.nn.norm import PictureNorm, norm_layer

Field = Literal[1, 16, 34, 70, 142, 286]
"""Side in pixels of the patch that a logit sees."""

WIDEST = 8
"""Channels of the last feature maps, in units of the width, at most."""


class PatchDiscriminator(nn.Module):
    """PatchGAN (Isola et al. 2017, section 3.2.2 and appendix 6.1.2).

    All convolutions have 4x4 kernels; the last two have stride 1, as in the published code (the paper says 2
    throughout). A field of one pixel is the PixelGAN, of 1x1 convolutions.

    Args:
        size: Side of the pictures that it will be trained on, pixels; it takes any others as well.
        channels: Of the pictures.
        width: Channels after the first convolution.
        classes: Length of `Condition.vector`, which is projected (Miyato & Koyama 2018); 0 is unconditional.
        field: Side of a logit's patch, pixels; 16, 34, 70, 142 and 286 are those of 1 to 5 strided convolutions.
        norm: Between the first and the last convolution: `batch` (published) or `instance`.

    Raises:
        UserError: The picture is too small for so many convolutions.
    """

    def __init__(
        self,
        size: int,
        *,
        channels: int = 3,
        width: int = 64,
        classes: int = 0,
        field: Field = 70,
        norm: PictureNorm = "batch",
    ) -> None:
        super().__init__()
        halvings = get_args(Field).index(field)
        if size >> halvings < 4 and halvings:
            raise UserError(f"patches of {field} px need pictures of {4 << halvings} px or more, not {size}")
        bias = norm != "batch"  # batch norm brings its own
        self.blocks = nn.ModuleList()
        if field == 1:
            self.blocks.append(nn.Conv2d(channels, width, 1))
            self.blocks.append(nn.Sequential(nn.Conv2d(width, 2 * width, 1, bias=bias), norm_layer(norm, 2 * width)))
            inputs, self.head = 2 * width, nn.Conv2d(2 * width, 1, 1, bias=bias)
        else:
            self.blocks.append(nn.Conv2d(channels, width, 4, 2, 1))
            inputs = width
            for level in range(1, halvings + 1):
                outputs = min(2**level, WIDEST) * width
                stride = 2 if level < halvings else 1
                layer = nn.Conv2d(inputs, outputs, 4, stride, 1, bias=bias)
                self.blocks.append(nn.Sequential(layer, norm_layer(norm, outputs)))
                inputs = outputs
            self.head = nn.Conv2d(inputs, 1, 4, 1, 1)
        self.projection = Linear(classes, inputs, bias=False) if classes else None
        dcgan_init(self)

    def forward(self, images: Float[Tensor, "B C H W"], condition: Condition | None = None) -> Verdict:
        """Head `patch` (B, 1, h, w); features are the activations, fine to coarse."""
        h = images
        features = []
        for block in self.blocks:
            h = F.leaky_relu(block(h), 0.2, inplace=True)
            features.append(h)
        logits = self.head(h).squeeze(1)  # (B, h, w)
        if self.projection is None and (condition is None or condition.vector is None):
            return Verdict({"patch": logits.unsqueeze(1)}, tuple(features))
        # The last convolution reads 4x4 of the last features: their mean over that window meets the condition.
        window = h if self.head.kernel_size == (1, 1) else F.avg_pool2d(F.pad(h, (1, 1, 1, 1)), 4, 1)
        logits = project(logits, window, self.projection, condition)
        return Verdict({"patch": logits.unsqueeze(1)}, tuple(features))
