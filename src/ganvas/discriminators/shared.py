"""The discriminators that any system may choose instead of its own."""

from __future__ import annotations

from typing import Literal

from torch import nn

from ganvas.discriminators.conv import ConvDiscriminator
from ganvas.discriminators.patch import PatchDiscriminator
from ganvas.discriminators.resnet import ResNetDiscriminator
from ganvas.discriminators.unet import UNetDiscriminator

SharedDiscriminator = Literal["conv", "resnet", "unet", "patch"]


def build_discriminator(
    name: SharedDiscriminator, size: int, *, channels: int, width: int, classes: int = 0
) -> nn.Module:
    """A discriminator with its paper's settings.

    Args:
        name: `conv` (DCGAN), `resnet` (BigGAN), `unet` (U-Net GAN) or `patch` (pix2pix, patches of 70 px).
        size: Side of the pictures, pixels.
        channels: Of the pictures.
        width: Channels after the first layer.
        classes: Length of `Condition.vector`; 0 is unconditional.

    Raises:
        UserError: It does not take pictures of that size.
    """
    networks = {
        "conv": ConvDiscriminator,
        "resnet": ResNetDiscriminator,
        "unet": UNetDiscriminator,
        "patch": PatchDiscriminator,
    }
    network: nn.Module = networks[name](size, channels=channels, width=width, classes=classes)
    return network
