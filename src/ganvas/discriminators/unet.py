"""The U-Net discriminator: one logit for the picture from the encoder, one for every pixel from the decoder."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from ganvas.discriminators.resnet import project
from ganvas.discriminators.verdict import Condition, Verdict
from ganvas.errors import UserError
from ganvas.nn.blocks import DownBlock, UpBlock, orthogonal_init
from ganvas.nn.layers import Conv2d, Linear

CHANNELS = {
    32: (1, 2, 4),
    64: (1, 2, 4, 8),
    128: (1, 2, 4, 8, 16),
    256: (1, 2, 4, 8, 8, 16),
}
"""Output channels of each encoder block in units of the width (Schönfeld et al. 2020, appendix C).

The paper has 128 and 256 px; the smaller sizes continue its pattern and end at 4 px too. Sizes between have the blocks
of the next smaller one: 96 px those of 64, and end at 6 px."""


class UNetDiscriminator(nn.Module):
    """U-Net GAN's discriminator (Schönfeld, Schiele & Khoreva 2020, section 3.1 and appendix C).

    The published module also holds a linear layer of 65 parameters that nothing uses; it is left out here.

    Args:
        size: Side of the pictures, pixels: 32 or more, a multiple of 2 to the number of blocks.
        channels: Colour channels.
        width: Channels of the first block, `ch` in the paper.
        classes: Length of `Condition.vector`; 0 is unconditional.

    Raises:
        UserError: Another size.
    """

    judges_pixels = True
    """Whether a head has a logit for every pixel, as CutMix needs."""

    def __init__(self, size: int, *, channels: int = 3, width: int = 64, classes: int = 0) -> None:
        super().__init__()
        blocks = next((found for least, found in reversed(CHANNELS.items()) if least <= size), ())
        if not blocks or size % 2 ** len(blocks):
            wanted = f"a multiple of {2 ** len(blocks)} px at such a size" if blocks else "32 px or more"
            raise UserError(f"the unet discriminator takes pictures of {wanted}, not of {size}")
        widths = [multiple * width for multiple in blocks]
        self.encoder = nn.ModuleList(
            DownBlock(inputs, outputs, preactivation=i > 0)
            for i, (inputs, outputs) in enumerate(zip([channels, *widths], widths, strict=False))
        )
        # Decoder block i ends at the resolution of encoder feature -2 - i, with as many channels; the last at
        # full resolution. All but the first take that encoder feature beside the decoder's own.
        outputs = [*widths[-2::-1], width]
        inputs = [widths[-1], *(2 * out for out in outputs[:-1])]
        self.decoder = nn.ModuleList(UpBlock(i, o) for i, o in zip(inputs, outputs, strict=True))
        self.image_head = Linear(widths[-1], 1, spectral=True)
        self.pixel_head = Conv2d(width, 1, 1)
        self.image_projection = Linear(classes, widths[-1], spectral=True, bias=False) if classes else None
        self.pixel_projection = Linear(classes, width, spectral=True, bias=False) if classes else None
        orthogonal_init(self)

    def forward(self, images: Float[Tensor, "B C H W"], condition: Condition | None = None) -> Verdict:
        """Heads `encoder` (B,) and `decoder` (B, 1, H, W); features are the encoder's, fine to coarse."""
        h = images
        features: list[Tensor] = []
        for block in self.encoder:
            h = block(h)
            features.append(h)
        pooled = F.relu(h).sum((2, 3))  # (B, 16 ch): a sum over positions, not a mean
        encoder = project(self.image_head(pooled).squeeze(1), pooled, self.image_projection, condition)
        for block, skip in zip(self.decoder, [None, *features[-2::-1]], strict=True):
            h = block(h if skip is None else torch.cat([h, skip], 1))
        decoder = project(self.pixel_head(h).squeeze(1), h, self.pixel_projection, condition)
        return Verdict({"encoder": encoder, "decoder": decoder.unsqueeze(1)}, tuple(features))
