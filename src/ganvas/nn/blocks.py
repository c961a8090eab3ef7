"""The residual blocks of BigGAN, which U-Net GAN's discriminator uses for its encoder and its decoder."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from ganvas.errors import UserError
from ganvas.nn.layers import Conv2d


class DownBlock(nn.Module):
    """Discriminator block: [ReLU], 3x3, ReLU, 3x3, 2x2 mean; shortcut 1x1 and mean (Brock et al. 2019, fig. 15c).

    Args:
        inputs: Channels in.
        outputs: Channels out and between the two convolutions.
        preactivation: Start with a ReLU; the first block of a discriminator sees pixels and does not.
        downsample: Halve the resolution.
    """

    def __init__(self, inputs: int, outputs: int, *, preactivation: bool = True, downsample: bool = True) -> None:
        super().__init__()
        self.preactivation, self.downsample = preactivation, downsample
        self.conv1 = Conv2d(inputs, outputs, spectral=True)
        self.conv2 = Conv2d(outputs, outputs, spectral=True)
        self.shortcut = Conv2d(inputs, outputs, 1, spectral=True) if downsample or inputs != outputs else None

    def forward(self, x: Float[Tensor, "B I H W"]) -> Float[Tensor, "B O h w"]:
        """Features at half the resolution (or the same)."""
        h = self.conv1(F.relu(x) if self.preactivation else x)
        h = F.relu(h, inplace=True)
        h = self.conv2.downsampled(h) if self.downsample else self.conv2(h)
        if self.shortcut is None:
            return h + x
        return h + (self.shortcut.downsampled(x) if self.downsample else self.shortcut(x))


class UpBlock(nn.Module):
    """Decoder block without normalisation: ReLU, x2, 3x3, ReLU, 3x3; shortcut x2 and 1x1.

    The generator block of BigGAN (fig. 15b) less its batch norms, as U-Net GAN's discriminator uses it.

    Args:
        inputs: Channels in, the skip connection's included.
        outputs: Channels out and between the two convolutions.
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv1 = Conv2d(inputs, outputs, spectral=True)
        self.conv2 = Conv2d(outputs, outputs, spectral=True)
        self.shortcut = Conv2d(inputs, outputs, 1, spectral=True)

    def forward(self, x: Float[Tensor, "B I H W"]) -> Float[Tensor, "B O 2*H 2*W"]:
        """Features at twice the resolution."""
        h = F.relu(self.conv1.upsampled(F.relu(x)), inplace=True)
        return self.conv2(h) + self.shortcut.upsampled(x)


class SelfAttention(nn.Module):
    """Self-attention over positions (Zhang et al. 2019, arXiv 1805.08318), with keys and values pooled by two.

    Args:
        channels: Of the feature maps, a multiple of 8.

    Raises:
        UserError: They are not.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        if channels % 8:
            raise UserError(f"self-attention needs a multiple of 8 channels, not {channels}: give a larger --width")
        self.query = Conv2d(channels, channels // 8, 1, spectral=True, bias=False)
        self.key = Conv2d(channels, channels // 8, 1, spectral=True, bias=False)
        self.value = Conv2d(channels, channels // 2, 1, spectral=True, bias=False)
        self.out = Conv2d(channels // 2, channels, 1, spectral=True, bias=False)
        self.gamma = nn.Parameter(torch.zeros(()))  # the block starts as the identity

    def forward(self, x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B C H W"]:
        """`x` plus what every position gathers from the others."""
        query = self.query(x).flatten(2).transpose(1, 2)  # (B, HW, C/8)
        key = F.max_pool2d(self.key(x), 2).flatten(2).transpose(1, 2)  # (B, HW/4, C/8)
        value = F.max_pool2d(self.value(x), 2).flatten(2).transpose(1, 2)  # (B, HW/4, C/2)
        gathered = F.scaled_dot_product_attention(query, key, value, scale=1.0)  # no 1/sqrt(d) in the paper
        gathered = gathered.transpose(1, 2).reshape(x.shape[0], -1, *x.shape[2:])
        return x + self.gamma * self.out(gathered)


def orthogonal_init(module: nn.Module) -> None:
    """Orthogonal weights for every convolution, linear layer and embedding (Brock et al. 2019, section 3).

    Biases keep PyTorch's default, as in the published code.
    """
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear | nn.Embedding):
            nn.init.orthogonal_(layer.weight)
